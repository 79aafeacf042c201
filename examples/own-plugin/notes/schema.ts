/** What requests look like. The types are derived from the schemas, so that the two cannot differ. */
import { Type, type Static } from 'typebox'

export const noteParams = Type.Object({ id: Type.Integer({ minimum: 1 }) })
export type NoteParams = Static<typeof noteParams>

export const noteBody = Type.Object({ text: Type.String({ minLength: 1, maxLength: 1000 }) }, { additionalProperties: false })
export type NoteBody = Static<typeof noteBody>
