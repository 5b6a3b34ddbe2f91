// Is somebody there? Leases are renewed while the tab is in sight and in use, and only then.
//
// Who was away finds a calm word instead of an image that another may have decided meanwhile: the
// key that ends the pause decides nothing, and the images are leased anew.

const RENEW_MS = 30_000;
const AWAY_MS = 300_000;
const LAPSED_MS = 100_000; // a lease lives for 120 s

export class Presence {
  /**
   * @param ids gives the ids of the items that are held.
   * @param send takes `{at, ids}`; without ids it asks for items to be leased anew.
   * @param onChange called when a pause begins or ends.
   */
  constructor({ ids, send, onChange, signal }) {
    Object.assign(this, { ids, send, onChange });
    this.state = "here"; // here | away | returning
    this.usedAt = this.renewedAt = Date.now();
    for (const name of ["pointerdown", "pointermove", "wheel", "keydown"]) {
      window.addEventListener(name, () => this.use(), { capture: true, passive: true, signal });
    }
    document.addEventListener("visibilitychange", () => this.look(), { signal });
    const timer = setInterval(() => this.renew(), RENEW_MS);
    signal.addEventListener("abort", () => clearInterval(timer));
  }

  get isHere() {
    return this.state === "here";
  }

  use() {
    if (this.isHere) this.usedAt = Date.now();
  }

  renew() {
    if (!this.isHere) return;
    if (Date.now() - this.usedAt >= AWAY_MS) this.become("away");
    else if (document.visibilityState === "visible") this.tell(this.ids());
  }

  /** A tab that comes into sight again may have lost its leases. */
  look() {
    if (document.visibilityState === "visible" && this.isHere && Date.now() - this.renewedAt > LAPSED_MS) this.comeBack();
  }

  /** Ends a pause: the items are leased anew. */
  comeBack() {
    if (this.state === "returning") return;
    this.become("returning");
    this.tell([]);
  }

  /** The server has answered to this message; whether that ends a pause. */
  answered(at) {
    if (this.state !== "returning" || at !== this.renewedAt) return false;
    this.usedAt = Date.now();
    this.become("here");
    return true;
  }

  tell(ids) {
    this.renewedAt = Date.now();
    this.send({ at: this.renewedAt, ids });
  }

  become(state) {
    this.state = state;
    this.onChange();
  }
}
