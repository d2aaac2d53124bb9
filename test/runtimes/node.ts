import type { Known } from '../helpers/runner.ts';
import { known as inNode20 } from './node-20.ts';

/** What a major version of Node cannot do. */
export function knownInNode(major: number): readonly Known[] {
  return major === 20 ? inNode20 : [];
}

/** What the Node that runs this cannot do. */
export const knownHere: readonly Known[] = knownInNode(Number.parseInt(process.versions.node, 10));
