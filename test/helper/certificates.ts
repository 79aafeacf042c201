/** Certificate authorities and certificates, made by the program openssl when a test needs them. They end after two days. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { TlsFiles } from './postgres-server.ts'

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
const DAYS = ['-days', '2']

export interface Authority {
  /** The file of its certificate: `sslrootcert`. */
  readonly certificate: string
  /** A certificate for a server (`hosts`: 'DNS:localhost', 'IP:127.0.0.1') or, without hosts, for the user `name`. */
  readonly issue: (name: string, hosts?: readonly string[]) => Promise<TlsFiles>
}

/** False, or why a test skips. */
export async function whyNoOpenssl (): Promise<false | string> {
  return await promisify(execFile)('openssl', ['version']).then(() => false as const, () => 'there is no program openssl')
}

/** Its files are in `folder`, and have `name` in theirs. */
export async function makeAuthority (folder: string, name: string): Promise<Authority> {
  const openssl = async (...parameters: string[]): Promise<void> => { await promisify(execFile)('openssl', parameters, { cwd: folder }) }
  const file = (base: string, end: string): string => join(folder, `${base}.${end}`)
  const [certificate, key] = [file(name, 'crt'), file(name, 'key')]
  await openssl('req', '-x509', ...KEY, ...DAYS, '-subj', `/CN=${name}`, '-keyout', key, '-out', certificate)
  let serial = 0
  return {
    certificate,
    issue: async (subject, hosts = []) => {
      const own = `${name}-${++serial}`
      const names = hosts.length > 0 ? `subjectAltName=${hosts.join(',')}\n` : ''
      writeFileSync(file(own, 'ext'), `basicConstraints=CA:FALSE\n${names}`)
      await openssl('req', '-new', ...KEY, '-subj', `/CN=${subject}`, '-keyout', file(own, 'key'), '-out', file(own, 'csr'))
      await openssl('x509', '-req', ...DAYS, '-in', file(own, 'csr'), '-CA', certificate, '-CAkey', key, '-set_serial', String(serial), '-extfile', file(own, 'ext'), '-out', file(own, 'crt'))
      return { certificate: file(own, 'crt'), key: file(own, 'key') }
    }
  }
}
