/** Constructs nothing new, so that the private field of a class that extends it lands on the object given. */
class Identity {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: that is its purpose
    return object;
  }
}

/**
 * Ties something to an ArrayBuffer of ours: as long as the buffer, or anything over it, is reachable, so is that. A
 * private field, not a property, so that no caller can read it, replace it or freeze it.
 */
class Tie extends Identity {
  #tied: object;

  constructor(buffer: ArrayBuffer, tied: object) {
    super(buffer);
    this.#tied = tied;
  }

  static of(buffer: object): object | undefined {
    return #tied in buffer ? buffer.#tied : undefined;
  }

  static replace(buffer: object, tied: object): void {
    (buffer as Tie).#tied = tied;
  }
}

export function tie(buffer: ArrayBuffer, tied: object): void {
  if (Tie.of(buffer) === undefined) new Tie(buffer, tied);
  else Tie.replace(buffer, tied);
}

export function tiedTo(buffer: object): object | undefined {
  return Tie.of(buffer);
}
