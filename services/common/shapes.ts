/** Parts of schemas that all services use. Knows no server, so that stores can name what they answer. */
import { Type, type TSchema } from 'typebox'
import { idPattern, type IdKind } from './ids.ts'

/** A body or a query string that takes these and nothing else. */
export function closed<P extends Record<string, TSchema>> (properties: P) {
  return Type.Object(properties, { additionalProperties: false })
}

/** The id of a path or a body. */
export function idOf (kind: IdKind) {
  return Type.String({ pattern: idPattern(kind), description: `of a ${kind}` })
}
