package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // as FerretDB has it
)

// indexIDs gives each collection an index that finds an _id. FerretDB makes one, of
// the expression ->"_id", but looks for ->'$._id', which SQLite takes for another:
// each read and write of one document would go through all of them.
func indexIDs(ctx context.Context) error {
	files, err := filepath.Glob("data/*.sqlite")
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := indexIDsOf(ctx, file); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

func indexIDsOf(ctx context.Context, file string) error {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer db.Close()
	var tables []string
	rows, err := db.QueryContext(ctx, `SELECT name FROM sqlite_master AS t WHERE type = 'table' AND sql LIKE '%(_ferretdb_sjson %'
		AND NOT EXISTS (SELECT 1 FROM sqlite_master AS i WHERE i.tbl_name = t.name AND i.name = t.name || '_by_id')`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			return err
		}
		tables = append(tables, table)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, table := range tables {
		text := fmt.Sprintf("CREATE INDEX %s ON %s (_ferretdb_sjson->'$._id')", quote(table+"_by_id"), quote(table))
		if _, err := db.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
