// The participants' pages: one element, and none of the researchers' code.
import "./styles/vote-page.css";
import { VotePair } from "./elements/vote-pair.ts";

customElements.define("vote-pair", VotePair);
