// Which command does a key give? Keys that belong to somebody else give none.

import { isSomebodyElses } from "../shared/keys.js";

const NAMED = { Enter: "confirm", Backspace: "undo", Escape: "escape", " ": "toggle" };
const LETTERS = {
  a: "confirm", s: "skip", f: "flag", l: "list", n: "new",
  h: "heat", i: "invert", c: "compare", w: "whole", e: "enlarge",
  "[": "dimmer", "]": "brighter", "+": "closer", "=": "closer", "-": "farther", 0: "fit", "?": "help",
};

/**
 * The command of a key as `{name, label, arrow}`, or nothing.
 * @param labels those that have a key of their own: `{text, key}`.
 */
export function commandOf(event, labels) {
  if (event.repeat || event.isComposing || isSomebodyElses(event)) return null;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const isWritten = event.getModifierState?.("AltGraph"); // "[" needs it on many keyboards
  if ((event.ctrlKey || event.metaKey || event.altKey) && !isWritten) {
    return key === "z" && !event.altKey && !event.shiftKey ? { name: "undo" } : null;
  }
  if (event.shiftKey && /^[a-z]$/.test(key)) return null;
  if (key.startsWith("Arrow")) return event.target.type === "range" ? null : { name: "arrow", arrow: key };
  const label = labels.find((each) => each.key === key);
  if (label) return { name: "label", label: label.text };
  const name = NAMED[key] ?? LETTERS[key];
  return name ? { name } : null;
}
