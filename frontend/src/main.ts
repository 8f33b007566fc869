import "uplot/dist/uPlot.min.css";
import "./styles/index.css";
import "htmx.org";

document.documentElement.classList.add("scripted");
