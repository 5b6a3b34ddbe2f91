// Whose is a key that falls on a page? Components listen on the window, before the page does.

const TYPED = "input:not([type=range]):not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable=''], [contenteditable=true]";
const PRESSED = "button, a[href], summary, [role=button], [role=radio], [role=tab], input";
// The view or the order that was just clicked keeps the focus.
const CHOSEN = "[role=radio][aria-checked=true], input[type=radio]:checked";

/** Whether a key belongs to a field, a dialog or a button, and not to a component. */
export function isSomebodyElses(event) {
  if (document.querySelector("dialog[open], [role=dialog]:not(.lq-sheet)")) return true;
  const target = event.target;
  if (target.closest?.(TYPED)) return true;
  if (target.matches?.(CHOSEN)) return false; // pressing it again would change nothing
  // A button that the Tab key has reached is pressed by these two.
  return (event.key === "Enter" || event.key === " ") && Boolean(target.closest?.(PRESSED)) && target.matches(":focus-visible");
}
