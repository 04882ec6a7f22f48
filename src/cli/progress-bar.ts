/** A bar for people who wait; on a terminal only, and gone when the work is. */
import { Presets, SingleBar } from 'cli-progress';
import { bytesText } from './words.ts';

/** How much there is to do: asked beside the work, which does not wait for it. */
export interface Amount {
  readonly files: number;
  readonly bytes: number;
}

export class ProgressBar {
  readonly #bar: SingleBar;
  #bytes = 0;
  #files = 0;
  #total: Amount | undefined;
  readonly #startMs = performance.now();

  private constructor(amount: Promise<Amount | undefined>) {
    this.#bar = new SingleBar(
      {
        format: (_options, { progress }) => this.#line(progress),
        stream: process.stderr,
        clearOnComplete: true,
        hideCursor: true,
        linewrap: false,
      },
      Presets.shades_classic,
    );
    this.#bar.start(1, 0);
    void this.#know(amount);
  }

  /** Undefined where nobody looks. The amount may be unknown. */
  static begin(isWanted: boolean, amount: () => Promise<Amount>): ProgressBar | undefined {
    if (!isWanted || !process.stderr.isTTY) return undefined;
    return new ProgressBar(amount().catch(() => undefined));
  }

  /** Moved so far. */
  set(files: number, bytes: number): void {
    [this.#files, this.#bytes] = [files, bytes];
    // Empty files are work, too.
    if (this.#total === undefined) this.#bar.update(0);
    else this.#bar.update(Math.min(bytes + files, this.#bar.getTotal()));
  }

  /** Whatever came of it: the terminal is as it was. */
  end(): void {
    this.#bar.stop();
  }

  async #know(amount: Promise<Amount | undefined>): Promise<void> {
    const total = await amount;
    this.#total = total;
    if (total !== undefined) this.#bar.setTotal(Math.max(1, total.bytes + total.files));
  }

  #line(progress: number): string {
    const seconds = Math.max(0.001, (performance.now() - this.#startMs) / 1000);
    const rate = this.#bytes / seconds;
    const done = `${this.#files} files, ${bytesText(this.#bytes)}`;
    if (this.#total === undefined) return `${done}, ${bytesText(rate)}/s`;
    const { files, bytes } = this.#total;
    const full = Math.round(progress * BAR_WIDTH);
    const bar = '█'.repeat(full) + '░'.repeat(BAR_WIDTH - full);
    const leftS = rate > 0 ? Math.ceil((bytes - this.#bytes) / rate) : 0;
    const percent = Math.floor(progress * 100);
    return `${bar} ${percent}% ${done} of ${files}, ${bytesText(bytes)}, ${bytesText(rate)}/s, ${leftS} s`;
  }
}

/** Leaves room for the figures on a terminal of 80 columns. */
const BAR_WIDTH = 16;
