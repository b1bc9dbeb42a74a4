export interface Change {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Mutant extends Change {
  readonly name: string;
  /** What goes wrong. */
  readonly bug: string;
  /** A second safeguard that must go too: without either alone nothing would go wrong. */
  readonly also?: Change;
  /** Files and folders of tests that find it, where the simulator does not reach. */
  readonly suite?: string;
}
