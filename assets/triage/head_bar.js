// How far the work is: what is decided, what remains, how fast it goes, and whether it is saved.

import { element, formatCount } from "../shared/dom.js";

const LONGEST_S = 60; // whoever looks longer was not at work all the time
const PACE_KEY = "lacquer.triage.pace";

export class HeadBar {
  constructor() {
    this.count = element("span", { class: "lq-count" });
    this.meter = element("progress", { class: "lq-meter", "aria-label": "Decided" });
    this.remaining = element("span", { class: "lq-quiet" });
    this.pace = element("span", { class: "lq-quiet lq-pace", title: "Decisions a minute of work, in this session" });
    this.state = element("span", { class: "lq-state", role: "status" });
    this.node = element("div", { class: "lq-bar" }, [this.count, this.meter, this.remaining, this.pace, this.state]);
    this.paced = JSON.parse(sessionStorage.getItem(PACE_KEY) ?? '{"n":0,"seconds":0}');
  }

  /** Counts decisions that took so long together. */
  note(n, seconds) {
    this.paced.n += n;
    this.paced.seconds += Math.min(LONGEST_S, seconds);
    sessionStorage.setItem(PACE_KEY, JSON.stringify(this.paced));
  }

  show({ progress, log, hasActed }) {
    const done = Math.max(0, progress.n_done + log.ahead);
    this.count.textContent = `${formatCount(done)} of ${formatCount(progress.n_total)} decided`;
    this.meter.max = Math.max(1, progress.n_total);
    this.meter.value = done;
    this.remaining.textContent = progress.remaining ? `${progress.remaining} left` : "";
    const { n, seconds } = this.paced;
    this.pace.textContent = n >= 5 && seconds > 0 ? `${formatCount(Math.round((60 * n) / seconds))} a minute` : "";
    const unsaved = log.unwritten.length;
    this.state.textContent = unsaved ? `saving ${formatCount(unsaved)}…` : hasActed ? "all saved" : "";
    this.state.toggleAttribute("data-unsaved", unsaved > 0);
  }
}
