// Whether a pair has been looked at: nobody can say which of two clips is better before both have played a little.

/** Watches the clips that are shown. Emits "seen" when both have played for long enough. */
export class Look extends EventTarget {
  #seconds;
  /** @type {HTMLVideoElement[]} */
  #videos = [];
  #frame = 0;
  /** The clips that are shown have played for long enough, or need not. */
  seen = false;

  /** @param {number} seconds That each clip has to play, as a clock in the room counts. */
  constructor(seconds) {
    super();
    this.#seconds = seconds;
  }

  /** Watch other clips, from their start. @param {HTMLVideoElement[]} videos */
  begin(videos) {
    this.end();
    this.#videos = videos;
    this.#watch();
  }

  /** Wait for nothing more: the clips cannot be played, or have been seen to their end. */
  skip() {
    this.end();
    this.#settle();
  }

  /** Watch nothing. */
  end() {
    cancelAnimationFrame(this.#frame);
    this.seen = false;
  }

  /** Who has seen a clip to its end has seen it, however short it is. */
  #watch() {
    const played = this.#videos.every(
      (video) => video.ended || video.currentTime >= this.#seconds * video.playbackRate,
    );
    if (played) this.#settle();
    else this.#frame = requestAnimationFrame(() => this.#watch());
  }

  #settle() {
    this.seen = true;
    this.dispatchEvent(new Event("seen"));
  }
}
