import { createContext, runInContext } from 'node:vm';

const context = createContext({});

/** The value of an expression in another realm, where ArrayBuffer and Uint8Array are other classes than here. */
// biome-ignore lint/suspicious/noExplicitAny: what it is depends on the expression
export function inContext(expression: string): any {
  return runInContext(expression, context);
}
