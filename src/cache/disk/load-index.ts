/** What is done with the records of an index log. */
import type { FileTable, Row } from './file-table.ts';
import type { FileRecord, RecordHandler } from './records.ts';

/** Takes them into a table. */
export function tableLoader(table: FileTable): Omit<RecordHandler, 'head'> {
  return {
    file(record) {
      const other = table.find(record.key);
      if (other !== undefined) table.remove(other);
      if (table.isFull) return;
      table.add(record, record.lengthBytes, record.lastUseS, { isLoaded: true });
    },
    page(file, index, sum) {
      const row = table.findExactly(file);
      if (row !== undefined) table.addPage(row, index, sum);
    },
    use(file, lastUseS) {
      const row = table.findExactly(file);
      if (row !== undefined) table.setLastUse(row, lastUseS);
    },
    drop(file) {
      const row = table.findExactly(file);
      if (row !== undefined) table.remove(row);
    },
  };
}

/** Tells those of files that are still there. */
export function liveFiles(
  table: FileTable,
  tell: (record: FileRecord, row: Row) => void,
): Omit<RecordHandler, 'head'> {
  const nothing = (): void => undefined;
  return {
    file: (record) => {
      const row = table.findExactly(record);
      if (row !== undefined) tell(record, row);
    },
    page: nothing,
    use: nothing,
    drop: nothing,
  };
}
