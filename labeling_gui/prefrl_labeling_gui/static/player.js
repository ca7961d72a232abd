// Clips that are looked at as one. Never the attribute `loop`: two players that loop by themselves drift apart.
// All are started together, and together started again when all have ended.

/** One clip, or the two of a pair. Emits "looped" each time they have ended, "refused" if they may not play. */
export class Player extends EventTarget {
  /** @type {HTMLVideoElement[]} */
  videos;
  paused = true;
  /** Start again after the end. Without it a clip plays once for each `replay`. */
  looping = true;
  #rate = 1;
  /** @type {number[]} */
  #fps = [];
  #turn = 0;

  /** @param {HTMLVideoElement[]} videos */
  constructor(videos) {
    super();
    this.videos = videos;
    for (const video of videos) {
      Object.assign(video, { muted: true, playsInline: true, preload: "auto", disableRemotePlayback: true });
      video.addEventListener("ended", () => this.#ended());
    }
  }

  /**
   * Load clips without playing them.
   * @param {string[]} urls One for each video.
   * @param {number[]} fps Frames per second of each, for steps by frame; not needed where nobody steps.
   * @returns {Promise<void>} When the first frame of each can be shown.
   */
  async load(urls, fps = []) {
    this.stop();
    this.#fps = fps;
    await Promise.all(this.videos.map((video, i) => loaded(video, urls[i])));
  }

  /** Give the clips up. */
  unload() {
    this.stop();
    for (const video of this.videos) {
      video.removeAttribute("src");
      video.load();
    }
  }

  /** @param {number} rate */
  set rate(rate) {
    this.#rate = rate;
    for (const video of this.videos) video.playbackRate = rate;
  }

  /** Play on from where it is. */
  play() {
    if (this.videos.some((video) => video.ended)) {
      this.replay();
      return;
    }
    this.paused = false;
    this.#turn += 1;
    for (const video of this.videos) {
      video.playbackRate = this.#rate;
      video.play().catch((error) => this.#refused(error));
    }
  }

  /** Stand still. */
  stop() {
    this.paused = true;
    this.#turn += 1;
    for (const video of this.videos) video.pause();
  }

  /** Play from the start. */
  async replay() {
    this.stop();
    this.paused = false;
    const turn = this.#turn;
    await Promise.all(this.videos.map((video) => moved(video, 0)));
    if (turn === this.#turn) this.play();
  }

  /** Stand still, one frame further; after the last comes the first. */
  step() {
    const ended = this.videos.every((video) => video.currentTime >= video.duration - 1e-3);
    this.stop();
    this.videos.forEach((video, i) => {
      const frame = Math.floor(video.currentTime * this.#fps[i] + 1e-3) + 1;
      // The middle of a frame: its edges belong to one frame or the other by rounding.
      video.currentTime = ended ? 0 : Math.min((frame + 0.5) / this.#fps[i], video.duration);
    });
  }

  /** A browser that allows no playback before somebody has touched the page: then they start it. */
  #refused(error) {
    if (error.name !== "NotAllowedError") return; // else it was stopped before it had begun
    this.stop();
    this.dispatchEvent(new Event("refused"));
  }

  #ended() {
    if (this.paused || !this.videos.every((video) => video.ended)) return;
    this.paused = !this.looping;
    this.dispatchEvent(new Event("looped"));
    if (!this.paused) this.replay();
  }
}

/** @param {HTMLVideoElement} video @param {string} url @returns {Promise<void>} When its first frame is there. */
function loaded(video, url) {
  return new Promise((resolve, reject) => {
    const listening = new AbortController();
    const settle = (settled) => {
      listening.abort();
      settled();
    };
    const { signal } = listening;
    video.addEventListener("loadeddata", () => settle(resolve), { signal });
    video.addEventListener("error", () => settle(() => reject(new Error("A clip cannot be played."))), { signal });
    video.src = url;
  });
}

/** @param {HTMLVideoElement} video @param {number} time @returns {Promise<void>} When its frame is there. */
function moved(video, time) {
  if (video.readyState === 0 || (video.currentTime === time && !video.ended)) return Promise.resolve();
  return new Promise((resolve) => {
    video.addEventListener("seeked", () => resolve(), { once: true });
    video.currentTime = time;
  });
}
