/** Reads a Dockerfile, and what can be said of one without Docker. What it does not know (ONBUILD, heredocs, variables in instructions) it refuses. */

export interface Instruction {
  readonly name: string
  readonly flags: Readonly<Record<string, string>>
  /** Without flags. */
  readonly text: string
  /** Of a JSON array its strings, else what stands between blanks. */
  readonly words: readonly string[]
  readonly isExec: boolean
}

export interface Stage {
  /** An image, or the name of an earlier stage. */
  readonly from: string
  readonly name: string
  readonly instructions: Instruction[]
}

const KNOWN = new Set(['FROM', 'WORKDIR', 'COPY', 'RUN', 'ENV', 'VOLUME', 'EXPOSE', 'USER', 'HEALTHCHECK', 'STOPSIGNAL', 'CMD', 'ADD', 'ENTRYPOINT', 'ARG', 'LABEL'])

export function parseDockerfile (text: string): Stage[] {
  const stages: Stage[] = []
  for (const line of joinLines(text)) {
    const instruction = parseInstruction(line)
    if (instruction.name === 'FROM') stages.push({ from: instruction.words[0] ?? '', name: instruction.words[2] ?? String(stages.length), instructions: [] })
    else stages.at(-1)?.instructions.push(instruction)
  }
  return stages
}

function joinLines (text: string): string[] {
  const lines = text.split('\n').filter(line => !line.trimStart().startsWith('#')).join('\n').replaceAll('\\\n', ' ')
  return lines.split('\n').map(line => line.trim()).filter(line => line !== '')
}

function parseInstruction (line: string): Instruction {
  const [, name = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? []
  if (!KNOWN.has(name)) throw new Error(`this test does not know the instruction: ${line}`)
  const [written = ''] = /^(?:--[\w-]+=\S+\s+)*/.exec(rest) ?? []
  const flags = Object.fromEntries([...written.matchAll(/--([\w-]+)=(\S+)/g)].map(([, flag = '', value = '']) => [flag, value]))
  const text = rest.slice(written.length)
  return { name, flags, text, ...toWords(name === 'HEALTHCHECK' ? text.replace(/^CMD\s+/, '') : text) }
}

function toWords (text: string): Pick<Instruction, 'words' | 'isExec'> {
  return text.startsWith('[') ? { words: JSON.parse(text) as string[], isExec: true } : { words: text.split(/\s+/), isExec: false }
}

/** The last instruction of that name. */
export function findLast ({ instructions }: Stage, name: string): Instruction | undefined {
  return instructions.findLast(instruction => instruction.name === name)
}

/** The variables of all ENV instructions. */
export function readEnvironment ({ instructions }: Stage): Record<string, string> {
  return Object.fromEntries(instructions.filter(({ name }) => name === 'ENV').flatMap(({ words }) => words.map(word => {
    const at = word.indexOf('=')
    return [word.slice(0, at), word.slice(at + 1)]
  })))
}

// --- rules, most of them as hadolint has them ----------------------------------------------------------------------------------

/** What is wrong, one text for each thing. */
export function findProblems (stages: readonly Stage[]): string[] {
  const last = stages.at(-1)
  if (last === undefined) return ['there is no FROM']
  const names = stages.map(({ name }) => name)
  return [
    ...stages.flatMap(({ from }, i) => names.slice(0, i).includes(from) ? [] : checkImage(from)),
    ...stages.flatMap(({ instructions }) => instructions.flatMap(checkInstruction)),
    ...last.instructions.filter(({ name, flags }) => name === 'COPY' && flags.chown === undefined).map(({ text }) => `COPY ${text}: without --chown it is root's, and may be unreadable for others`),
    ...checkUser(last)
  ]
}

/** DL3006, DL3007 */
export function checkImage (image: string): string[] {
  const [, tag] = /:([\w.-]+)(?:@sha256:[0-9a-f]{64})?$/.exec(image) ?? []
  return tag === undefined || tag === 'latest' ? [`${image}: name the version`] : []
}

function checkInstruction ({ name, text, isExec }: Instruction): string[] {
  if (name === 'ADD') return ['ADD unpacks and downloads: use COPY'] // DL3020
  if (['CMD', 'ENTRYPOINT', 'HEALTHCHECK'].includes(name) && !isExec) return [`${name} ${text}: as a JSON array, since a shell keeps signals to itself`] // DL3025
  if (['ENV', 'ARG'].includes(name) && /PASSWORD|SECRET|TOKEN|KEY/i.test(text)) return [`${name} ${text}: a secret would be in the image`]
  return name === 'RUN' ? checkRun(text) : []
}

/** DL3008 asks for versions of packages as well; Debian removes old ones, so those of the release are taken. */
function checkRun (text: string): string[] {
  const problems = /\bchown\s+-R\b/.test(text) ? [`RUN ${text}: doubles the files; use COPY --chown`] : []
  if (!/\bapt-get\s+install\b/.test(text)) return problems
  const wanted = [['-y', /\s-y\b/], ['--no-install-recommends', /--no-install-recommends/], ['apt-get update &&', /apt-get update &&/], ['&& rm -rf /var/lib/apt/lists/*', /rm -rf \/var\/lib\/apt\/lists\/\*/]] as const
  return [...problems, ...wanted.filter(([, pattern]) => !pattern.test(text)).map(([what]) => `RUN ${text}: ${what} is missing`)]
}

/** DL3002 */
function checkUser (stage: Stage): string[] {
  const user = findLast(stage, 'USER')?.text
  return user === undefined || /^(?:root|0)(?::|$)/.test(user) ? ['it runs as root: end with USER'] : []
}

// --- .dockerignore -----------------------------------------------------------------------------------------------------------------

/** Whether a path of the build context is left out. The last line that fits decides; a folder is in it with all that it holds. */
export function isIgnored (dockerignore: string, path: string): boolean {
  const patterns = dockerignore.split('\n').map(line => line.trim()).filter(line => line !== '' && !line.startsWith('#'))
  let ignored = false
  for (const pattern of patterns) {
    const isException = pattern.startsWith('!')
    if (fits(isException ? pattern.slice(1) : pattern, path)) ignored = !isException
  }
  return ignored
}

function fits (pattern: string, path: string): boolean {
  const expression = pattern.replace(/[.+^$()|[\]{}?]/g, '\\$&').replace(/\*\*\/|\*/g, stars => stars === '*' ? '[^/]*' : '(?:.*/)?')
  return new RegExp(`^${expression}(?:/|$)`).test(path)
}
