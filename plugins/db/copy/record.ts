/** How a target that is not complete yet is known. */

/** The table in which an unfinished copy is recorded: as long as it is there, no app starts on this database. */
export const RECORD = 'tandem_copy'
/** The indices that are to be made again. */
export const INDICES = 'tandem_copy_index'
