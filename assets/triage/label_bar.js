// The buttons of all decisions, each with its key: for fingers, and to learn the keys by.

import { element } from "../shared/dom.js";

/** A button with its key; it gives the focus back, else the space bar would press it again. */
export function keyButton(key, text, run, attributes = {}) {
  const button = element("button", { type: "button", class: "lq-key", ...attributes }, [
    element("kbd", { text: key, "aria-hidden": "true" }), element("span", { class: "lq-key-text", text }),
  ]);
  button.addEventListener("click", (event) => {
    if (event.detail) button.blur(); // pressed by a pointer, not by a key
    run();
  });
  return button;
}

export class LabelBar {
  /** @param run takes the name of a command and a label; `onLook` the label under the pointer. */
  constructor({ run, onLook }) {
    this.run = run;
    this.onLook = onLook;
    this.classes = element("div", { class: "lq-classes", role: "group", "aria-label": "Labels" });
    this.others = element("div", { class: "lq-choices", role: "group", "aria-label": "No class" });
    this.actions = element("div", { class: "lq-actions" }, [
      this.others,
      element("div", { class: "lq-choices", role: "group", "aria-label": "Actions" }, [
        keyButton("S", "Skip", () => run("skip")),
        keyButton("F", "Flag", () => run("flag")),
        keyButton("⌫", "Undo", () => run("undo")),
        keyButton("?", "Keys", () => run("help")),
      ]),
    ]);
  }

  /** @param labels `{text, name, color, key, is_class}`: those without a key stand in the list alone. */
  configure(labels) {
    this.labels = labels;
    this.others.replaceChildren(...labels.filter(({ is_class }) => !is_class).map((label) => this.button(label)));
    this.show(this.shown ?? {});
  }

  /** Marks the label that is suggested, and shows how sure the model is of each. */
  show({ suggested, top = [] }) {
    this.shown = { suggested, top };
    const sureness = new Map(top.map(({ text, p }) => [text, p]));
    const named = new Set([suggested, ...sureness.keys()]);
    const classes = this.labels.filter(({ is_class, key, text }) => is_class && (key || named.has(text)));
    const hasMore = this.labels.some(({ is_class, key }) => is_class && !key);
    this.classes.replaceChildren(
      ...classes.map((label) => this.button(label, sureness.get(label.text))),
      ...(hasMore ? [keyButton("L", "All labels…", () => this.run("list"))] : []),
      keyButton("N", "New type…", () => this.run("new")),
    );
    for (const button of [...this.classes.children, ...this.others.children]) {
      button.toggleAttribute("data-suggested", suggested !== undefined && button.dataset.label === suggested);
    }
  }

  button({ text, name, color, key }, p) {
    const button = keyButton(key.toUpperCase(), name, () => this.run("label", text), { "data-label": text });
    button.style.setProperty("--lq-mark", color);
    if (p !== undefined) {
      button.append(element("b", { class: "lq-p", text: p.toFixed(2) }), element("i", { class: "lq-share" }));
      button.style.setProperty("--lq-share", `${100 * p}%`);
    }
    for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => this.onLook(text));
    for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => this.onLook(null));
    return button;
  }
}
