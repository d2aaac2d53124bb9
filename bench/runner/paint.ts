import { styleText } from 'node:util';

const colorful = process.stdout.isTTY === true && process.stdout.hasColors();

/** Plain where the output is no terminal, or NO_COLOR is set. */
export function paint(style: 'bold' | 'dim' | 'green' | 'red', text: string): string {
  return colorful ? styleText(style, text) : text;
}
