// What is asked over the image, in a line or a list, or told: labels, a new type, a comment, the keys.

import { element } from "../shared/dom.js";

const KEYS = [
  ["Enter, A", "give the suggested label"],
  ["1 to 9", "give another label"],
  ["L", "find a label in the list"],
  ["N", "a new type of defect"],
  ["M, X, U", "multiple defects, not a defect, unusable"],
  ["S", "skip: it comes again when asked for"],
  ["F", "flag with a comment"],
  ["⌫, Ctrl+Z", "take the last decision back"],
  ["+ − 0", "closer, farther, fit (wheel, drag, double click)"],
  ["[ ] I", "less, more contrast; invert"],
  ["H", "where the model looked"],
  ["C", "beside the nearest labelled images"],
  ["W", "whole screen"],
];
const GRID_KEYS = [
  ["Arrows", "go from image to image"],
  ["Space", "leave an image out, or take it in"],
  ["E", "enlarge the image"],
];

export class Sheet {
  constructor() {
    this.node = element("div", { class: "lq-sheet", role: "dialog", hidden: true });
    this.node.addEventListener("keydown", (event) => this.onKey(event));
    this.node.addEventListener("click", (event) => {
      if (event.target === this.node) this.close();
    });
  }

  get isOpen() {
    return !this.node.hidden;
  }

  close() {
    this.node.hidden = true;
    this.node.replaceChildren();
    this.onArrow = null;
  }

  open(title, children) {
    this.before = document.activeElement;
    this.node.setAttribute("aria-label", title);
    this.node.replaceChildren(element("div", { class: "lq-sheet-body" }, [element("h3", { class: "lq-sheet-title", text: title }), ...children]));
    this.node.hidden = false;
  }

  /** Escape leaves; nothing that is typed here reaches the image or the page. */
  onKey(event) {
    event.stopPropagation();
    if (event.key === "Escape") {
      this.close();
      if (this.before?.isConnected) this.before.focus({ preventScroll: true });
    } else if (this.onArrow && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      this.onArrow(event.key === "ArrowDown" ? 1 : -1);
    }
  }

  /** A line of text; `check` says what is wrong with it, or nothing. */
  ask({ title, placeholder, button, limit, check, onGive }) {
    const input = element("input", { class: "lq-input", type: "text", maxlength: limit, placeholder, "aria-label": title, autocomplete: "off" });
    const problem = element("p", { class: "lq-problem", role: "alert" });
    const give = () => {
      const text = input.value.trim().replace(/\s+/g, " ");
      problem.textContent = check(text) ?? "";
      if (problem.textContent) return;
      this.close();
      onGive(text);
    };
    const form = element("form", { class: "lq-ask", on: { submit: (event) => {
      event.preventDefault();
      give();
    } } }, [input, element("button", { type: "submit", class: "lq-give", text: button })]);
    this.open(title, [form, problem, leaveHint(() => this.close())]);
    input.focus();
  }

  /** A list that typing narrows down. */
  choose({ title, labels, onGive }) {
    const input = element("input", { class: "lq-input", type: "text", placeholder: "Type to find a label", "aria-label": title, autocomplete: "off" });
    const list = element("ul", { class: "lq-list", role: "listbox", "aria-label": title });
    let at = 0;
    const give = ({ text }) => {
      this.close();
      onGive(text);
    };
    const found = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      return labels.filter(({ name, text }) => words.every((word) => `${name} ${text}`.toLowerCase().includes(word)));
    };
    const show = () => {
      const shown = found();
      at = Math.max(0, Math.min(at, shown.length - 1));
      list.replaceChildren(...shown.map((label, place) => {
        const mark = element("i");
        mark.style.background = label.color;
        return element("li", { role: "option", "aria-selected": String(place === at), on: { click: () => give(label) } },
          [mark, element("span", { text: label.name }), ...(label.key ? [element("kbd", { text: label.key.toUpperCase() })] : [])]);
      }));
      if (!shown.length) list.append(element("li", { class: "lq-none", text: "No label is called that. N makes a new one." }));
      list.children[at]?.scrollIntoView({ block: "nearest" });
    };
    input.addEventListener("input", () => {
      at = 0;
      show();
    });
    const form = element("form", { class: "lq-ask", on: { submit: (event) => {
      event.preventDefault();
      const label = found()[at];
      if (label) give(label);
    } } }, [input]);
    this.open(title, [form, list, leaveHint(() => this.close())]);
    this.onArrow = (step) => {
      at += step;
      show();
    };
    show();
    input.focus();
  }

  tellKeys(view) {
    const rows = view === "grid" ? [...GRID_KEYS, ...KEYS.slice(0, 8)] : KEYS;
    this.open("Keys", [
      element("dl", { class: "lq-keys" }, rows.flatMap(([key, text]) => [
        element("dt", {}, [element("kbd", { text: key })]), element("dd", { text }),
      ])),
      leaveHint(() => this.close(), "any key"),
    ]);
  }
}

function leaveHint(close, key = "Esc") {
  return element("button", { type: "button", class: "lq-leave", text: `Close (${key})`, on: { click: close } });
}
