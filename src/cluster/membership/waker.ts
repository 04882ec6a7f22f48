/** A pause that can be ended early; a wake between two waits ends the next one at once. */
export class Waker {
  #isWoken = false;
  #end: (() => void) | undefined;

  /** At most one wait at a time. */
  async wait(ms: number): Promise<void> {
    if (!this.#isWoken) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#end = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#isWoken = false;
    this.#end = undefined;
  }

  wake(): void {
    this.#isWoken = true;
    this.#end?.();
  }
}
