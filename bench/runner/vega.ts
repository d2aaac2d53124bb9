/**
 * Vega-Lite, by the two functions that are used of it. Imported by name at run time: its declarations need the DOM's
 * types and contradict themselves, which this project's checks of libraries refuse.
 */
interface View {
  toSVG(): Promise<string>;
  finalize(): void;
}

interface Vega {
  parse(specification: object): object;
  View: new (dataflow: object, options: { renderer: 'none' }) => View;
}

interface VegaLite {
  compile(specification: object): { spec: object };
}

const load = async <T>(name: string): Promise<T> => import(name);

/** Draws a Vega-Lite specification as SVG, without a browser or a canvas. */
export async function draw(specification: object): Promise<string> {
  const { parse, View } = await load<Vega>('vega');
  const { compile } = await load<VegaLite>('vega-lite');
  const view = new View(parse(compile(specification).spec), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  return svg;
}
