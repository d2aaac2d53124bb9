import { pathToFileURL } from 'node:url';
import type { HolderKind } from '../record/record.ts';
import type { Frame } from '../record/source.ts';

/** The live and the ended blocks of one place, held by one thing. Estimates, where a sample was recorded. */
export interface ProfileSample {
  readonly stack: readonly Frame[];
  readonly kind: string;
  /** Undefined: of blocks that have ended. */
  readonly holder: HolderKind | undefined;
  readonly label: string | undefined;
  allocObjects: number;
  allocSpace: number;
  inuseObjects: number;
  inuseSpace: number;
}

/** A function in a stack of Chrome's format, with what it calls. */
interface Node {
  readonly id: number;
  readonly frame: Frame | undefined;
  selfSize: number;
  readonly children: Map<string, Node>;
}

/** The text of a `.heapprofile`: a tree of calls, with the live bytes of each. */
export function writeChrome(samples: readonly ProfileSample[]): string {
  let lastId = 0;
  const newNode = (frame: Frame | undefined): Node => ({ id: ++lastId, frame, selfSize: 0, children: new Map() });
  const head = newNode(undefined);
  const bySize: { size: number; nodeId: number; ordinal: number }[] = [];
  for (const { stack, inuseSpace } of samples) {
    const size = Math.round(inuseSpace);
    if (size === 0) continue;
    let node = head;
    for (const frame of [...stack].reverse()) {
      const key = `${frame.name}\0${frame.file}\0${frame.line}\0${frame.column}`;
      const next = node.children.get(key) ?? newNode(frame);
      node.children.set(key, next);
      node = next;
    }
    node.selfSize += size;
    bySize.push({ size, nodeId: node.id, ordinal: bySize.length + 1 });
  }
  return JSON.stringify({ head: written(head), samples: bySize });
}

/** Lines and columns count from 0 here. */
function written({ id, frame, selfSize, children }: Node): object {
  const callFrame = {
    functionName: frame?.name ?? '(root)',
    scriptId: '0',
    url: urlOf(frame?.file ?? ''),
    lineNumber: (frame?.line ?? 0) - 1,
    columnNumber: (frame?.column ?? 0) - 1,
  };
  return { callFrame, selfSize, id, children: [...children.values()].map(written) };
}

function urlOf(file: string): string {
  return file.startsWith('/') || /^[a-z]:\\/i.test(file) ? pathToFileURL(file).href : file;
}
