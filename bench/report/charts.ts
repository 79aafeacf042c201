/** Draws what a run has to show, as SVG, with Vega-Lite (of bench/package.json). Without it nothing is drawn. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { OURS } from '../contenders/tandem.ts'
import type { Chart } from '../measure/measurement.ts'
import { isInstalled, load } from '../packages.ts'
import type { Run } from './run.ts'

/** What of them is used here. */
interface VegaLite { compile: (spec: object) => { spec: object } }
interface Vega { parse: (spec: object) => object, View: new (runtime: object, options: object) => { toSVG: () => Promise<string>, finalize: () => void } }

const OUR_COLOUR = '#2a7f62'
const OTHERS = '#9aa5b1'

/** The names of the files in `folder`. */
export async function drawCharts (run: Run, folder: string): Promise<string[]> {
  const drawn = run.parts.flatMap(({ name, svg }) => svg === undefined ? [] : [write(folder, name, svg)])
  const charts = [...summaryOf(run), ...run.parts.flatMap(part => part.charts ?? [])]
  if (charts.length > 0 && !isInstalled('vega-lite')) console.error('vega-lite: not installed, so no charts are drawn (npm run bench:setup)')
  else for (const chart of charts) drawn.push(write(folder, chart.name, await draw(chart)))
  return drawn
}

/** Of both engines what is asked most often, if both were measured. */
function summaryOf ({ parts }: Run): Chart[] {
  const points = (name: string, title: string): Chart['points'] => {
    const all = parts.find(part => part.name === name)?.charts?.[0]?.points ?? []
    return all.filter(({ panel }) => panel === all[0]?.panel).map(point => ({ ...point, panel: `${title}: ${point.panel}` }))
  }
  const [sqlite, postgres] = [points('sqlite', 'SQLite'), points('postgres', 'PostgreSQL')]
  if (sqlite.length === 0 || postgres.length === 0) return []
  return [{ name: 'summary', title: '32 in flight; longer is better', kind: 'bars', y: 'a second', points: [...sqlite, ...postgres] }]
}

function write (folder: string, name: string, svg: string): string {
  const file = join(folder, `bench-${name}.svg`)
  writeFileSync(file, `${svg.trim()}\n`)
  return file
}

async function draw (chart: Chart): Promise<string> {
  const [{ compile }, { parse, View }] = [await load<VegaLite>('vega-lite'), await load<Vega>('vega')]
  const view = new View(parse(compile(chart.kind === 'bars' ? barsOf(chart) : linesOf(chart)).spec), { renderer: 'none' })
  const svg = await view.toSVG()
  view.finalize()
  return svg
}

const common = { $schema: 'https://vega.github.io/schema/vega-lite/v6.json', background: '#fff', config: { font: 'system-ui, sans-serif', axis: { labelFontSize: 11 } } }

/** A field for each panel, the longest bar first. */
function barsOf ({ title, y, points }: Chart): object {
  const panels = [...new Set(points.map(({ panel }) => panel))]
  const inOrder = (name: string): Chart['points'] => points.filter(({ panel }) => panel === name).toSorted((a, b) => b.y - a.y)
  const panelOf = (panel: string): object => ({
    title: { text: panel, fontSize: 12 },
    width: 320,
    height: { step: 18 },
    data: { values: inOrder(panel) },
    encoding: { y: { field: 'series', type: 'nominal', sort: inOrder(panel).map(({ series }) => series), title: null, axis: { labelLimit: 240 } }, x: { field: 'y', type: 'quantitative', title: y } },
    layer: [
      { mark: 'bar', encoding: { color: { condition: { test: `indexof(datum.series, '${OURS}') === 0`, value: OUR_COLOUR }, value: OTHERS } } },
      { mark: { type: 'text', align: 'left', dx: 3, fontSize: 10 }, encoding: { text: { field: 'y', type: 'quantitative', format: ',' } } }
    ]
  })
  return { ...common, title, columns: 2, concat: panels.map(panelOf) }
}

function linesOf ({ title, x = '', y, isLogarithmic = false, points }: Chart): object {
  const scale = { type: isLogarithmic ? 'log' : 'linear' }
  const panels = [...new Set(points.map(({ panel }) => panel))]
  const names = [...new Set(points.map(({ series }) => series))]
  const colours = ['#b3563a', '#1f6fb2', '#c9952b', '#6b5b95']
  const range = names.map((name, i) => name === OURS ? OUR_COLOUR : colours[i % colours.length])
  const panelOf = (panel: string): object => ({
    title: { text: panel, fontSize: 12 },
    width: 280,
    height: 180,
    data: { values: points.filter(point => point.panel === panel) },
    mark: { type: 'line', point: true },
    encoding: {
      x: { field: 'x', type: 'quantitative', scale, title: x, axis: { format: '~s', grid: false } },
      y: { field: 'y', type: 'quantitative', scale: { type: 'linear', zero: true }, title: y },
      color: { field: 'series', type: 'nominal', title: null, scale: { domain: names, range } }
    }
  })
  return { ...common, title, columns: 2, concat: panels.map(panelOf), resolve: { scale: { color: 'shared' } } }
}
