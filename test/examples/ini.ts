/** The settings of one section of an ini file. Throws for a line that is neither a setting nor a comment. */
export function readSettings (text: string, section: string): Record<string, string> {
  const [, body] = new RegExp(`^\\[${section}\\]\\n([\\s\\S]*?)(?=^\\[|(?![\\s\\S]))`, 'm').exec(text) ?? []
  if (body === undefined) throw new Error(`there is no section [${section}]`)
  const lines = body.split('\n').filter(line => line.trim() !== '' && !line.startsWith(';'))
  return Object.fromEntries(lines.map(line => {
    const [, name, value] = /^(\S+) =(?: (.*))?$/.exec(line) ?? []
    if (name === undefined) throw new Error(`this is not a setting: ${line}`)
    return [name, value ?? '']
  }))
}
