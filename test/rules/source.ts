/**
 * Reads TypeScript just far enough for rules about it: which modules it imports, what is code, and what stands in strings. No parser, because TypeScript 7
 * offers none; what it does not understand (a regular expression behind a `)`) it takes for code.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { root } from '../helper/paths.ts'

/** One source file. Paths have slashes and begin at the repository's root. */
export interface Source {
  readonly path: string
  /** As it is. */
  readonly text: string
  /** The same length, but comments and what stands in strings, templates and regular expressions are blanks. */
  readonly code: string
  /** What stands in strings and templates. */
  readonly literals: readonly string[]
  /** Module names as written; relative ones as paths from the root. */
  readonly imports: readonly string[]
}

/** All `.ts` files below the given folders, or the files themselves, that exist now. */
export function readSources (...paths: string[]): Source[] {
  return paths.flatMap(path => path.endsWith('.ts') ? [path] : listFolder(path)).map(path => parseSource(path, readFileSync(new URL(path, root), 'utf8')))
}

function listFolder (folder: string): string[] {
  return readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: 'utf8' })
    .map(name => posix.join(folder, name.replaceAll('\\', '/')))
    .filter(path => path.endsWith('.ts'))
    .sort()
}

export function parseSource (path: string, text: string): Source {
  const { code, literals } = separate(text)
  return { path, text, code, literals, imports: findImports(path, text, code) }
}

const IMPORT = /\b(?:import|export)\b(?:[^'";()]*?\bfrom\s*|\s*|\s*\(\s*)(['"])/g

function findImports (path: string, text: string, code: string): string[] {
  return [...code.matchAll(IMPORT)].map(match => {
    const start = match.index + match[0].length
    const name = text.slice(start, text.indexOf(match[1] ?? '\'', start))
    return name.startsWith('.') ? posix.join(posix.dirname(path), name) : name
  })
}

const TOKEN = /\/\/.*|\/\*[\s\S]*?\*\/|'(?:[^'\\\n]|\\[\s\S])*'|"(?:[^"\\\n]|\\[\s\S])*"|`|[{}]|\/(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/g
/** Behind these a slash begins a regular expression; behind anything else it divides. */
const BEFORE_REGEX = /(?:^|[(,=:[!&|?{};+*%<>~^-]|\b(?:return|typeof|case|in|of|await|yield|throw|void))\s*$/

function separate (text: string): { code: string, literals: string[] } {
  const separator = new Separator(text)
  return { code: separator.code(), literals: separator.literals }
}

/** Goes through a text once, and keeps track of the braces, since `}` goes on with a template where `${` left it. */
class Separator {
  readonly literals: string[] = []
  readonly #text: string
  readonly #braces: Array<'block' | 'template'> = []
  #code = ''
  #at = 0

  constructor (text: string) {
    this.#text = text
  }

  code (): string {
    const tokens = new RegExp(TOKEN)
    for (let match = tokens.exec(this.#text); match !== null; match = tokens.exec(this.#text)) {
      this.#keep(match.index)
      const end = this.#take(match[0])
      tokens.lastIndex = end
    }
    this.#keep(this.#text.length)
    return this.#code
  }

  /** Handles a token and answers where it ends. */
  #take (token: string): number {
    if (token === '`') return this.#template()
    if (token === '{') return this.#brace('block')
    if (token === '}') return this.#braces.pop() === 'template' ? this.#template() : this.#keep(this.#at + 1)
    if (token.startsWith('//') || token.startsWith('/*')) return this.#blank(this.#at + token.length)
    if (token.startsWith('/')) return BEFORE_REGEX.test(this.#code) ? this.#blank(this.#at + token.length) : this.#keep(this.#at + 1)
    return this.#literal(this.#at + token.length - 1)
  }

  #brace (kind: 'block' | 'template'): number {
    this.#braces.push(kind)
    return this.#keep(this.#at + 1)
  }

  /** From a quote, or from the brace that goes on with a template, to the end of that part. */
  #template (): number {
    const rest = /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*/y
    rest.lastIndex = this.#at + 1
    rest.exec(this.#text)
    const end = rest.lastIndex
    if (!this.#text.startsWith('${', end)) return this.#literal(end)
    this.#literal(end)
    return this.#brace('template')
  }

  /** What stands between the delimiters at the current place and at `last`. */
  #literal (last: number): number {
    this.literals.push(this.#text.slice(this.#at + 1, last))
    this.#keep(this.#at + 1)
    this.#blank(last)
    return this.#keep(last + 1)
  }

  #keep (end: number): number {
    this.#code += this.#text.slice(this.#at, end)
    this.#at = Math.max(this.#at, end)
    return this.#at
  }

  #blank (end: number): number {
    this.#code += this.#text.slice(this.#at, end).replace(/[^\n]/g, ' ')
    this.#at = end
    return end
  }
}
