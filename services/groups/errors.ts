/** The errors of the groups. */
import { define } from '../common/errors.ts'

export const GroupLimit = define<[most: number]>('TDM_ERR_VAULT_GROUP_LIMIT', 'One person can own %d groups. Delete one, or give it to another member, first.', 409)
export const OwnerCannotBeRemoved = define('TDM_ERR_VAULT_OWNER_CANNOT_BE_REMOVED', 'The owner cannot be removed from the group. Give the group to another member first.', 409)
export const OwnerMustTransfer = define('TDM_ERR_VAULT_OWNER_MUST_TRANSFER', 'A group has an owner. Give the group to another member first, or delete it.', 409)
export const JoinCodeInvalid = define('TDM_ERR_VAULT_JOIN_CODE_INVALID', 'No group can be joined by this code. Ask who has sent it for the current one.', 404)
export const GroupFull = define<[most: number]>('TDM_ERR_VAULT_GROUP_FULL', 'The group has all the members that its plan allows: %d.', 409)
export const CharacterTaken = define('TDM_ERR_VAULT_CHARACTER_TAKEN', 'Somebody in the group has a character of this name.', 409)
export const SharedMember = define('TDM_ERR_VAULT_SHARED_MEMBER', 'This is the shared storage of the group, and not a person.', 409)
export const NotAMember = define('TDM_ERR_VAULT_NOT_A_MEMBER', 'The group can only be given to one of its members.', 409)
export const VersionMismatch = define<[current: number]>('TDM_ERR_VAULT_VERSION_MISMATCH', 'The group has changed since it was read; its version is %d now.', 409)
export const ActiveSubscription = define('TDM_ERR_VAULT_ACTIVE_SUBSCRIPTION', 'The group is paid for. Cancel its subscription, and delete it when that has ended.', 409)
