// A threshold: a handle whose count of images follows while it moves. The server hears of it when it
// is let go, for then the images change.

import { element, formatCount, loadStyle } from "../shared/dom.js";

/** Mounts or updates the handle in its element; called again at every change of `data` or theme. */
export function mount(component) {
  const { parentElement } = component;
  parentElement.threshold ??= new Threshold(parentElement);
  parentElement.threshold.update(component);
}

class Threshold {
  constructor(parent) {
    this.handle = element("input", {
      type: "range", class: "lq-handle", min: 0, step: 1,
      on: { input: () => this.show(), change: () => this.send() },
    });
    this.value = element("output", { class: "lq-value" });
    this.count = element("strong");
    this.share = element("span");
    this.root = element("div", { class: "lq lq-threshold" }, [
      element("div", { class: "lq-line" }, [this.handle, this.value]),
      element("div", { class: "lq-count", role: "status" }, [this.count, this.share]),
    ]);
    this.root.style.visibility = "hidden"; // until the style sheet applies
    parent.append(this.root);
  }

  update({ data, setStateValue }) {
    this.setStateValue = setStateValue;
    loadStyle(data.style_url).then(() => { this.root.style.visibility = ""; });
    const version = JSON.stringify([data.low, data.high, data.value, data.n_above]);
    if (version === this.version) return;
    this.version = version;
    this.data = data;
    this.handle.max = data.counts.length - 1;
    this.handle.setAttribute("aria-label", data.title);
    this.handle.value = Math.round(((data.value - data.low) / (data.high - data.low)) * (data.counts.length - 1));
    this.tell(data.value, data.n_above);
  }

  /** What the threshold would be where the handle is now. */
  show() {
    const { low, high, counts } = this.data;
    const step = Number(this.handle.value);
    this.tell(low + ((high - low) * step) / (counts.length - 1), counts[step]);
  }

  tell(value, nAbove) {
    this.value.value = Number(value.toPrecision(3)).toString();
    this.handle.setAttribute("aria-valuetext", this.value.value);
    this.count.textContent = `${formatCount(nAbove)} ${nAbove === 1 ? "image" : "images"}`;
    const share = ((100 * nAbove) / this.data.n_total).toFixed(1);
    this.share.textContent = ` above the threshold, ${share}% of ${formatCount(this.data.n_total)}.`;
  }

  send() {
    // The time tells a place from the same one chosen before.
    this.setStateValue("move", { step: Number(this.handle.value), at: Date.now() });
  }
}
