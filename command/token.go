package command

import (
	"cmp"
	"errors"
	"time"

	"github.com/kannuki/kannuki/identity"
)

// TokenRows are what a token says, each with what it is about, as pages of both programs
// show it.
func (l *Line) TokenRows(t identity.Token) [][2]string {
	rows := [][2]string{{l.T("token.row.host"), t.Host}, {l.T("token.row.may"), l.List(words(t.May))}}
	if len(t.Controls) > 0 {
		rows = append(rows, [2]string{l.T("token.row.controls"), l.List(words(t.Controls))})
	}
	if t.Longest > 0 {
		rows = append(rows, [2]string{l.T("token.row.longest"), (time.Duration(t.Longest) * time.Second).String()})
	}
	zone := l.Now().Location()
	rows = append(rows, [2]string{l.T("token.row.time"), l.T("token.row.from-until", l.DateTime(t.From.In(zone)), l.DateTime(t.Until.In(zone)))})
	if t.Reason != "" {
		rows = append(rows, [2]string{l.T("token.row.reason"), t.Reason})
	}
	return append(rows, [2]string{l.T("token.row.key"), t.Key})
}

func words[T ~string](list []T) []string {
	var out []string
	for _, w := range list {
		out = append(out, string(w))
	}
	return out
}

// TokenError is err in the reader's language where it is about a token.
func (l *Line) TokenError(err error) error {
	var e *identity.Error
	if !errors.As(err, &e) {
		return err
	}
	return errors.New(cmp.Or(l.Coded("token."+string(e.Code), e.Args), e.Error()))
}

// Coded is the message of key, filled with what a program gave beside its code; "" where
// the catalogue does not have it.
func (l *Line) Coded(key string, args []string) string {
	if !l.Has(key) {
		return ""
	}
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a
	}
	return l.T(key, values...)
}
