/** Texts that are kept so that only this app can read them: AES-256-GCM, the id of the key in front, so that keys can change. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { sha256 } from './secrets.ts'

const ALGORITHM = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** Seals with the first key, opens with each. */
export class Sealer {
  readonly #keys: ReadonlyArray<{ id: string, key: Buffer }>

  constructor (keys: readonly string[]) {
    this.#keys = keys.map(text => ({ id: sha256(text).slice(0, 8), key: Buffer.from(hkdfSync('sha256', text, '', 'sealed texts', 32)) }))
  }

  /** `context` belongs to the text, as the id of its row: opened elsewhere it is refused. */
  seal (text: string, context: string): string {
    const [first] = this.#keys
    if (first === undefined) throw new Error('there is no key to seal with')
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv(ALGORITHM, first.key, nonce).setAAD(Buffer.from(context))
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
    return `${first.id}.${Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url')}`
  }

  /** Throws for a text that was changed, belongs elsewhere, or was sealed with a key that is not there any more. */
  open (sealed: string, context: string): string {
    const [id = '', text = ''] = sealed.split('.')
    const found = this.#keys.find(key => key.id === id)
    if (found === undefined) throw new Error('it was sealed with a key that is not there any more')
    const bytes = Buffer.from(text, 'base64url')
    const decipher = createDecipheriv(ALGORITHM, found.key, bytes.subarray(0, NONCE_BYTES)).setAAD(Buffer.from(context))
      .setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES))
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]).toString('utf8')
  }
}
