// The legend: categories with counts to hide and isolate, or the bar of a score.

import { element, formatCount } from "../shared/dom.js";
import { swatch } from "./symbols.js";

const APPLY_AFTER_MS = 200; // the second click of a double click must not redraw the map twice

export class CategoryLegend {
  /** `groups`: `{index, name, color, symbol, count}`; `onChange(hidden: Set of indices)`. */
  constructor(groups, onChange) {
    this.groups = groups;
    this.onChange = onChange;
    this.hidden = new Set();
    this.entries = new Map(groups.map((group) => [group.index, this.entry(group)]));
    this.node = element("div", { class: "lq-legend-list", role: "group", "aria-label": "Categories" }, [
      ...this.entries.values(),
    ]);
  }

  entry(group) {
    return element("button", {
      type: "button",
      class: "lq-legend-entry",
      "aria-pressed": "true",
      title: `${group.name}\nClick hides, double click (or Shift+Enter) shows only this`,
      on: {
        click: (event) => (event.shiftKey ? this.isolate(group.index) : this.toggle(group.index)),
        dblclick: () => this.isolate(group.index),
      },
    }, [
      swatch(group.symbol, group.color),
      element("span", { class: "lq-legend-name", text: group.name }),
      element("span", { class: "lq-legend-count", text: formatCount(group.count) }),
    ]);
  }

  toggle(index) {
    if (!this.hidden.delete(index)) this.hidden.add(index);
    this.changed();
  }

  /** Shows one category alone, or all again where it already is alone. */
  isolate(index) {
    const others = this.groups.map((group) => group.index).filter((other) => other !== index);
    const alone = !this.hidden.has(index) && others.every((other) => this.hidden.has(other));
    this.hidden = new Set(alone ? [] : others);
    this.changed();
  }

  changed() {
    for (const [index, entry] of this.entries) {
      entry.setAttribute("aria-pressed", String(!this.hidden.has(index)));
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.onChange(this.hidden), APPLY_AFTER_MS);
  }
}

const short = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });

/** The bar of a score, `{title, min, max, colors}` from low to high. */
export function scoreLegend({ title, min, max, colors }, missing) {
  return element("div", { class: "lq-score" }, [
    element("div", { class: "lq-score-title", text: title }),
    element("div", {
      class: "lq-score-bar",
      style: `background: linear-gradient(to right, ${colors.join(", ")})`,
    }),
    element("div", { class: "lq-score-ends" }, [
      element("span", { text: short.format(min) }),
      element("span", { text: short.format(max) }),
    ]),
    ...(missing ? [element("div", { class: "lq-score-missing", text: `${formatCount(missing)} without a score` })] : []),
  ]);
}
