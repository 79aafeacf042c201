/**
 * Lines over the last five minutes, drawn by hand in SVG.
 *
 * All charts share one cursor: what is pointed at in one is shown at the same time in all of them, in their legends. Without a cursor the legends show the newest values. Each chart is a slider for the
 * keyboard: arrow keys move the cursor, Home and End go to the ends, Escape lets it go.
 */
import { el, setText, svg } from './dom.js'
import { formatClock } from './format.js'

/** @import { Sample } from '../snapshot.ts' */
/** @typedef {{ name: string, className: string, value: (sample: Sample) => number | null, isMinor?: boolean }} Series */
/** @typedef {{ name: string, className: string, value: number }} Limit */
/** @typedef {{ title: string, note: string, series: Series[], format: (value: number) => string, isLog?: boolean, floor: number }} ChartOptions */

const WINDOW_MS = 300_000
const HEIGHT = 132
const TOP = 10
const BOTTOM = 20
/** A longer time between two samples is a gap. */
const GAP_MS = 3000

/** The time that is pointed at; null: now. @type {{ at: number | null, listeners: Set<() => void> }} */
const cursor = { at: null, listeners: new Set() }

export class Chart {
  /** @type {readonly Sample[]} */
  #samples = []
  /** @type {readonly Limit[]} */
  #limits = []
  #now = 0
  #width = 320

  /** @param {ChartOptions} options */
  constructor (options) {
    this.options = options
    this.when = el('span', 'when', '')
    this.legend = el('ul', 'legend')
    this.plot = svg('svg', { class: 'plot', height: HEIGHT, tabindex: 0, role: 'slider', 'aria-label': `${options.title}, over the last five minutes`, 'aria-valuemin': -300, 'aria-valuemax': 0, 'aria-valuenow': 0 })
    this.element = el('section', 'card chart', el('header', '', el('h3', '', options.title), this.when), this.legend, el('div', 'plot-box', this.plot), el('p', 'note', options.note))
    this.values = options.series.map(series => this.#addLegend(series.name, series.className))
    /** @type {HTMLElement[]} */
    this.limitValues = []
    this.plot.addEventListener('pointermove', event => { pointAt(this.#timeAt(event.offsetX)) })
    this.plot.addEventListener('pointerleave', () => { pointAt(null) })
    this.plot.addEventListener('blur', () => { pointAt(null) })
    this.plot.addEventListener('keydown', event => { this.#onKey(event) })
    cursor.listeners.add(() => { this.draw() })
    new ResizeObserver(([entry]) => {
      this.#width = Math.max(200, Math.round(entry?.contentRect.width ?? this.#width))
      this.draw()
    }).observe(this.plot.parentElement ?? this.element)
  }

  /** @param {readonly Sample[]} samples @param {number} now @param {readonly Limit[]} [limits] */
  show (samples, now, limits = []) {
    this.#samples = samples
    this.#now = now
    this.#limits = limits
    limits.forEach(({ name, className, value }, i) => {
      const element = this.limitValues[i] ?? (this.limitValues[i] = this.#addLegend(name, className))
      setText(element, this.options.format(value))
    })
    this.draw()
  }

  draw () {
    const { series, format } = this.options
    const shown = this.#shown()
    setText(this.when, cursor.at === null ? '' : formatClock(shown?.at ?? cursor.at))
    const texts = series.map(({ value }, i) => {
      const current = shown === undefined ? null : value(shown)
      const text = current === null ? '–' : format(current)
      const element = this.values[i]
      if (element !== undefined) setText(element, text)
      return `${series[i]?.name} ${text}`
    })
    this.plot.setAttribute('aria-valuenow', String(shown === undefined ? 0 : Math.max(-300, Math.round((shown.at - this.#now) / 1000))))
    this.plot.setAttribute('aria-valuetext', `${shown === undefined ? 'nothing yet' : formatClock(shown.at)}: ${texts.join(', ')}`)
    this.plot.setAttribute('viewBox', `0 0 ${this.#width} ${HEIGHT}`)
    this.plot.replaceChildren(...this.#drawScale(), ...this.#drawLimits(), ...series.flatMap(one => this.#drawSeries(one)), ...this.#drawCursor(shown))
  }

  /** @param {string} name @param {string} className */
  #addLegend (name, className) {
    const value = el('b', '', '–')
    this.legend.append(el('li', className, el('i', 'swatch'), el('span', '', name), value))
    return value
  }

  /** The sample that the cursor is at, or the newest. @returns {Sample | undefined} */
  #shown () {
    const { at } = cursor
    if (at === null) return this.#samples.at(-1)
    return this.#samples.reduce((/** @type {Sample | undefined} */ best, sample) => best === undefined || Math.abs(sample.at - at) < Math.abs(best.at - at) ? sample : best, undefined)
  }

  /** The top of the scale, and where it begins. */
  #range () {
    const { series, floor, isLog = false } = this.options
    let top = floor
    for (const sample of this.#samples) for (const { value } of series) top = Math.max(top, value(sample) ?? 0)
    // one that is far off is in the legend only: the line would be flat
    for (const { value } of this.#limits) if (value < top * 4) top = Math.max(top, value * 1.05)
    return isLog ? { low: 0.01, high: 10 ** Math.ceil(Math.log10(top)) } : { low: 0, high: niceTop(top) }
  }

  /** @param {number} value */
  #y (value) {
    const { low, high } = this.#range()
    const share = this.options.isLog === true ? Math.log(Math.max(value, low) / low) / Math.log(high / low) : value / high
    return HEIGHT - BOTTOM - Math.min(1, share) * (HEIGHT - TOP - BOTTOM)
  }

  /** @param {number} at */
  #x (at) {
    return this.#width * (1 - (this.#now - at) / WINDOW_MS)
  }

  /** @param {number} x */
  #timeAt (x) {
    return this.#now - (1 - x / this.#width) * WINDOW_MS
  }

  #drawScale () {
    const { low, high } = this.#range()
    const ticks = this.options.isLog === true ? decades(low, high) : [high / 2, high]
    const base = svg('line', { class: 'base', x1: 0, x2: this.#width, y1: HEIGHT - BOTTOM + 0.5, y2: HEIGHT - BOTTOM + 0.5 })
    const lines = ticks.flatMap(tick => {
      const y = Math.round(this.#y(tick)) + 0.5
      return [svg('line', { class: 'grid', x1: 0, x2: this.#width, y1: y, y2: y }), label(2, y - 3, this.options.format(tick), 'start')]
    })
    const times = [5, 4, 3, 2, 1].map(minutes => label(this.#width * (1 - minutes / 5), HEIGHT - 5, `−${minutes}\u202Fmin`, minutes === 5 ? 'start' : 'middle'))
    return [...lines, base, ...times, label(this.#width, HEIGHT - 5, 'now', 'end')]
  }

  #drawLimits () {
    const { high } = this.#range()
    return this.#limits.filter(({ value }) => value <= high).flatMap(({ name, className, value }) => {
      const y = Math.round(this.#y(value)) + 0.5
      return [svg('line', { class: `limit ${className}`, x1: 0, x2: this.#width, y1: y, y2: y }), label(this.#width - 2, y - 3, `${name} ${this.options.format(value)}`, 'end')]
    })
  }

  /** @param {Series} series @returns {SVGElement[]} */
  #drawSeries ({ className, value, isMinor = false }) {
    let path = ''
    let before = -Infinity
    for (const sample of this.#samples) {
      const y = value(sample)
      if (y === null) continue
      const isJoined = sample.at - before < GAP_MS
      // a move alone draws nothing; with a line of no length it is a dot
      path += `${isJoined ? 'L' : 'M'}${this.#x(sample.at).toFixed(1)} ${this.#y(y).toFixed(1)}${isJoined ? '' : 'h0'}`
      before = sample.at
    }
    return path === '' ? [] : [svg('path', { class: `line ${className}${isMinor ? ' minor' : ''}`, d: path })]
  }

  /** @param {Sample | undefined} shown @returns {SVGElement[]} */
  #drawCursor (shown) {
    if (cursor.at === null || shown === undefined) return []
    const x = this.#x(shown.at)
    return [svg('line', { class: 'cursor', x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM })]
  }

  /** @param {KeyboardEvent} event */
  #onKey (event) {
    const step = event.shiftKey ? 10 : 1
    const last = this.#samples.length - 1
    const shown = this.#shown()
    const i = shown === undefined ? last : this.#samples.indexOf(shown)
    const target = { ArrowLeft: i - step, ArrowDown: i - step, ArrowRight: i + step, ArrowUp: i + step, Home: 0, End: last }[event.key]
    if (event.key === 'Escape') pointAt(null)
    if (target === undefined) return
    event.preventDefault()
    pointAt(this.#samples[Math.min(last, Math.max(0, target))]?.at ?? null)
  }
}

/** @param {number | null} at */
function pointAt (at) {
  if (cursor.at === at) return
  cursor.at = at
  for (const listener of cursor.listeners) listener()
}

/** @param {number} x @param {number} y @param {string} text @param {string} anchor */
function label (x, y, text, anchor) {
  const element = svg('text', { x, y, 'text-anchor': anchor })
  element.textContent = text
  return element
}

/** Every second power of ten, so that the labels have room. @param {number} low @param {number} high @returns {number[]} */
function decades (low, high) {
  const all = []
  for (let tick = high; tick > low * 1.5; tick /= 10) all.push(tick)
  return all.length > 4 ? all.filter((_, i) => i % 2 === 0) : all
}

/** The next of 1, 2, 5, 10, 20, … @param {number} value @returns {number} */
function niceTop (value) {
  const power = 10 ** Math.floor(Math.log10(value))
  return power * ([1, 2, 5, 10].find(factor => factor * power >= value) ?? 10)
}
