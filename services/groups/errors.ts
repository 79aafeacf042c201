/** The errors of the groups. */
import { define } from '../common/errors.ts'

export const GroupLimit = define<[most: number]>('TDM_ERR_VAULT_GROUP_LIMIT', 'One person can own %d groups. Delete one, or give it to another member, first.', 409)
