import "uplot/dist/uPlot.min.css";
import "./styles/index.css";
import { ChartControls } from "./elements/chart-controls.ts";
import { RunChart } from "./elements/run-chart.ts";
import { RunHeader } from "./elements/run-header.ts";
import { RunLog } from "./elements/run-log.ts";
import { RunPage } from "./elements/run-page.ts";
import { RunAudit, RunCheckpoints, RunEvaluations } from "./elements/run-tables.ts";
import { RunsLive } from "./elements/runs-live.ts";
import { SampleScrubber } from "./elements/sample-scrubber.ts";
import { SpecForm } from "./elements/spec-form.ts";
import { UploadForm } from "./elements/upload-form.ts";
import { startDialogs } from "./shell/dialogs.ts";
import { startKeys } from "./shell/keys.ts";
import { startRequests } from "./shell/messages.ts";
import { startThemeToggle } from "./shell/theme-toggle.ts";
import { startTimes } from "./shell/times.ts";

document.documentElement.classList.add("scripted");
startThemeToggle();
startDialogs();
startKeys();
startRequests();
startTimes();

customElements.define("runs-live", RunsLive);
customElements.define("spec-form", SpecForm);
customElements.define("upload-form", UploadForm);
// The page first, for its children join it; it starts once they all have.
customElements.define("run-page", RunPage);
customElements.define("run-evaluations", RunEvaluations);
customElements.define("run-chart", RunChart);
customElements.define("chart-controls", ChartControls);
customElements.define("run-header", RunHeader);
customElements.define("sample-scrubber", SampleScrubber);
customElements.define("run-log", RunLog);
customElements.define("run-checkpoints", RunCheckpoints);
customElements.define("run-audit", RunAudit);
