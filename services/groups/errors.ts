/** The errors of the groups. */
import { define } from '../common/errors.ts'

export const GroupLimit = define<[most: number]>('TDM_ERR_VAULT_GROUP_LIMIT', 'One person can own %d groups. Delete one, or give it to another member, first.', 409)
export const OwnerCannotBeRemoved = define('TDM_ERR_VAULT_OWNER_CANNOT_BE_REMOVED', 'The owner cannot be removed from the group. Give the group to another member first.', 409)
export const OwnerMustTransfer = define('TDM_ERR_VAULT_OWNER_MUST_TRANSFER', 'The owner cannot leave while others are in the group. Give the group to one of them, or delete it.', 409)
