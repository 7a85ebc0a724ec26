package parquet

import (
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// What is needed of a file's metadata
// (https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift).
// Other fields are passed over, so that those which a writer left out, or which came
// later, are no hindrance.
type (
	metadata struct {
		Schema    []format.SchemaElement `thrift:"2"`
		RowGroups []rowGroup             `thrift:"4"`
		Notes     []note                 `thrift:"5"`
	}
	note struct {
		Key   string `thrift:"1"`
		Value string `thrift:"2"`
	}
	rowGroup struct {
		Columns []chunk `thrift:"1"`
		NumRows int64   `thrift:"3"`
	}
	chunk struct {
		FilePath string    `thrift:"1"`
		MetaData column    `thrift:"3"`
		Secret   *struct{} `thrift:"8"` // how it is encrypted
	}
	column struct {
		Type                 format.Type             `thrift:"1"`
		Codec                format.CompressionCodec `thrift:"4"`
		TotalCompressedSize  int64                   `thrift:"7"`
		DataPageOffset       int64                   `thrift:"9"`
		DictionaryPageOffset int64                   `thrift:"11"`
	}
)

// decode reads a struct that was verified.
func decode(raw []byte, to any) (err error) {
	defer func() { // mistakes of the library
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return thrift.NewDecoder(new(thrift.CompactProtocol).NewReaderFromBytes(raw)).Decode(to)
}

// chunk returns what the metadata say of a column in a row group.
func (f *File) chunk(group int, l *leaf) (*column, error) {
	c := &f.meta.RowGroups[group].Columns[l.index]
	m := &c.MetaData
	switch {
	case c.Secret != nil:
		return nil, fmt.Errorf("column %s is encrypted, which is not read", l.name())
	case c.FilePath != "":
		return nil, errors.New("the columns of this table lie in other files, which is not read")
	case m.Type != l.kind || m.TotalCompressedSize < 0:
		return nil, damaged(l)
	}
	return m, nil
}
