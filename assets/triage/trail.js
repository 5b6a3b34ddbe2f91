// The last decisions, with what the server has told of each.

import { addressOf, element } from "../shared/dom.js";
import { keyButton } from "./label_bar.js";

const SHOWN = 10;
const LOUD = new Set(["conflict", "refused"]);

export class Trail {
  constructor({ onUndo }) {
    this.last = element("span", { class: "lq-last" });
    this.list = element("ol", { class: "lq-trail", "aria-label": "Last decisions" });
    this.undo = keyButton("⌫", "Undo", onUndo, { "aria-label": "Undo the last decision" });
    this.told = new Map(); // what came with an answer, by the number of the entry
  }

  /** @param told `[{seq, standing, text}]` of the entries of this log. */
  take(told) {
    this.told = new Map(told.map((each) => [each.seq, each]));
  }

  show(recent, { thumbnail_url, nameOf }) {
    const shown = recent.slice(-SHOWN).reverse();
    this.list.replaceChildren(...shown.map((action, place) => this.row(action, place === 0, thumbnail_url, nameOf)));
    const [last] = shown;
    const { standing, text } = this.outcome(last);
    this.last.textContent = last ? `${this.given(last, nameOf)}: ${text || (last.isSaved ? "saved" : "saving…")}` : "";
    this.last.title = text;
    this.last.toggleAttribute("data-loud", LOUD.has(standing));
  }

  row(action, isLast, thumbnail_url, nameOf) {
    const { items, isSaved } = action;
    const { standing, text } = this.outcome(action);
    return element("li", { "data-saved": isSaved, "data-standing": standing }, [
      element("img", { alt: "", src: addressOf(thumbnail_url, items[0].image_id) }),
      element("span", { class: "lq-given", text: this.given(action, nameOf), title: items[0].title }),
      element("span", { class: "lq-told", text: text || (isSaved ? "saved" : "saving…"), title: text }),
      ...(isLast ? [this.undo] : []),
    ]);
  }

  given({ items, kind, label }, nameOf) {
    const verb = { skip: "skipped", flag: "flagged" }[kind] ?? nameOf(label);
    return items.length > 1 ? `${items.length} × ${verb}` : verb;
  }

  /** The loudest of what was told of an action's images; it stays with the action. */
  outcome(action) {
    if (!action) return { standing: "", text: "" };
    const told = action.seqs.map((seq) => this.told.get(seq)).filter(Boolean);
    const chosen = told.find(({ standing }) => LOUD.has(standing)) ?? told.find(({ text }) => text) ?? told.at(-1);
    if (chosen) action.told = { standing: chosen.standing, text: chosen.text };
    return action.told ?? { standing: action.isSaved ? "saved" : "", text: "" };
  }
}
