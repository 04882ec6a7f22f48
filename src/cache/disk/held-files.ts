/** Backing files that the kernel has open: by path, which no two files ever share. */
export class HeldFiles {
  /** How often each is held. */
  readonly #counts = new Map<string, number>();

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  has(file: string): boolean {
    return this.#counts.has(file);
  }

  hold(file: string): void {
    this.#counts.set(file, (this.#counts.get(file) ?? 0) + 1);
  }

  release(file: string): void {
    const count = this.#counts.get(file) ?? 0;
    if (count > 1) this.#counts.set(file, count - 1);
    else this.#counts.delete(file);
  }
}
