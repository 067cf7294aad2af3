package e2e_test

import "io/fs"

// walk hands every file of a tree to each.
func walk(tree fs.FS, each func(name string, data []byte)) error {
	return fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(tree, name)
		if err == nil {
			each(name, data)
		}
		return err
	})
}
