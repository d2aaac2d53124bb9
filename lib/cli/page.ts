/** The page that `watch` writes: one file without references to others, with charts by uPlot. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { type History, showBlocks, showBytes } from './history.ts';

/** A file of uPlot: the build puts it beside this one. */
function chartLibrary(name: string): string {
  const built = fileURLToPath(new URL(`./uplot/${name}`, import.meta.url));
  return readFileSync(existsSync(built) ? built : createRequire(import.meta.url).resolve(`uplot/dist/${name}`), 'utf8');
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** JSON in which nothing can end the script that it is in. */
function scriptJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>\u2028\u2029]/g,
    (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const style = `
:root { color-scheme: light; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; background: #fff; color: #222; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } td, th { padding: .25rem .75rem .25rem 0; text-align: left; vertical-align: top; }
td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.place { font-family: ui-monospace, monospace; font-size: .85em; overflow-wrap: anywhere; }
tr + tr td { border-top: 1px solid #8884; } .chart { margin: 1rem 0; }
.u-legend { text-align: left; font-size: .85em; } .u-legend .u-label { overflow-wrap: anywhere; white-space: normal; }
`;

/** Colours that people with any colour vision tell apart (Okabe and Ito). */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#999999', '#f0e442'];

const script = `
const { times, charts } = JSON.parse(document.getElementById('data').textContent);
const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
function show(bytes) {
  if (bytes == null) return '';
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.abs(bytes) || 1) / 10)));
  return (bytes / 2 ** (10 * power)).toFixed(power === 0 ? 0 : 1) + ' ' + units[power];
}
const powers = Array.from({ length: 50 }, (_, power) => 2 ** power);
const plots = charts.map(({ id, series }) => {
  const element = document.getElementById(id);
  const options = {
    width: element.clientWidth, height: 300,
    axes: [{}, { size: 90, incrs: powers, values: (_, ticks) => ticks.map(show) }],
    scales: { y: { range: (_, low, high) => [0, high > 0 ? high * 1.05 : 1] } },
    series: [{}, ...series.map(({ label, colour }) => ({ label, stroke: colour, width: 2, value: (_, bytes) => show(bytes) }))],
  };
  const plot = new uPlot(options, [times, ...series.map(({ bytes }) => bytes)], element);
  return { plot, element };
});
addEventListener('resize', () => {
  for (const { plot, element } of plots) plot.setSize({ width: element.clientWidth, height: 300 });
});
`;

/** @param command as the user wrote it */
export function page(history: History, command: readonly string[], outcome: string): string {
  const { samples } = history;
  const series = (label: string, bytes: readonly number[], i: number) => ({
    label,
    bytes,
    colour: colours[i % colours.length],
  });
  const charts = [
    {
      id: 'memory',
      series: [
        series(
          'native, live',
          samples.map(({ liveBytes }) => liveBytes),
          0,
        ),
        series(
          'native, kept for reuse',
          samples.map(({ retainedBytes }) => retainedBytes),
          4,
        ),
        series(
          'JS heap',
          samples.map(({ heapUsed }) => heapUsed),
          2,
        ),
        series(
          'RSS',
          samples.map(({ rss }) => rss),
          1,
        ),
      ],
    },
    { id: 'sites', series: history.largest(colours.length).map(({ place, bytes }, i) => series(place, bytes, i)) },
  ].filter(({ series }) => series.length > 0);
  const data = { times: samples.map(({ time }) => time / 1000), charts };
  const title = `cslice watch: ${command.join(' ')}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${chartLibrary('uPlot.min.css')}${style}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(describe(history, outcome))}</p>
<h2>Memory</h2>
<div class="chart" id="memory"></div>
${sitesPart(history)}
<script type="application/json" id="data">${scriptJson(data)}</script>
<script>${chartLibrary('uPlot.iife.min.js')}</script>
<script>${script}</script>
</body>
</html>
`;
}

function describe({ samples, usesCslice }: History, outcome: string): string {
  const first = samples[0];
  const last = samples.at(-1);
  if (first === undefined || last === undefined) return `${outcome} No Node process has reported.`;
  const peak = samples.reduce((most, { liveBytes }) => Math.max(most, liveBytes), 0);
  const seconds = Math.round((last.time - first.time) / 1000);
  const native = usesCslice
    ? `The most native bytes were ${showBytes(peak)}; at the end ${showBytes(last.liveBytes)} in ${showBlocks(last.liveBlocks)} ${last.liveBlocks === 1 ? 'was' : 'were'} live.`
    : 'No process has loaded cslice.';
  return `${outcome} Watched for ${seconds} s, from ${new Date(first.time).toISOString()}. ${native}`;
}

function sitesPart(history: History): string {
  const growing = history.growing();
  if (growing.length === 0) return '';
  const rows = growing
    .slice(0, 50)
    .map(
      ({ place, bytes, growth }) =>
        `<tr><td class="number">${showBytes(growth)}</td><td class="number">${showBytes(bytes)}</td><td class="place">${escapeHtml(place)}</td></tr>`,
    );
  return `<h2>Live bytes by where they were allocated</h2>
<div class="chart" id="sites"></div>
<p>Estimates from a sample of the allocations, of main threads.</p>
<table><thead><tr><th class="number">growth</th><th class="number">at the end</th><th>allocated at</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table>`;
}
