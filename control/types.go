package control

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

// UnknownProduct is returned when no record of the source names the product.
type UnknownProduct struct {
	Product, Source string
	Near            []string // names that come nearest
}

func (e *UnknownProduct) Error() string {
	return fmt.Sprintf("no record of %s names the product %q", e.Source, e.Product)
}

// TypeTable counts the vulnerabilities of a product by year and type.
func TypeTable(ctx context.Context, s store.Store, q triage.TypeQuestion) (triage.TypeTable, error) {
	vulnerabilities, err := vulnerabilitiesOf(ctx, s, q)
	if err != nil {
		return triage.TypeTable{}, err
	}
	return triage.BuildTypeTable(q, vulnerabilities)
}

// vulnerabilitiesOf are those of which a record of the question's source names its
// product, by id.
func vulnerabilitiesOf(ctx context.Context, s store.Store, q triage.TypeQuestion) (iter.Seq[vuln.Vulnerability], error) {
	all, err := s.ProductNames(ctx, q.Source)
	if err != nil {
		return nil, err
	}
	named := triage.ProductsNamed(q.Product, all)
	if len(named) == 0 {
		return nil, &UnknownProduct{q.Product, q.Source, triage.NearestProducts(q.Product, all, 5)}
	}
	// A vendor's monthly documents may each have a record of one vulnerability: they
	// are counted together.
	byID := map[string]*vuln.Vulnerability{}
	err = s.RecordsOf(ctx, q.Source, named, func(r vuln.Record) error {
		for _, id := range r.Vulnerabilities {
			if byID[id] == nil {
				byID[id] = &vuln.Vulnerability{ID: id}
			}
			byID[id].Records = append(byID[id].Records, r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(byID))
	for id := range byID {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return func(yield func(vuln.Vulnerability) bool) {
		for _, id := range ids {
			if !yield(*byID[id]) {
				return
			}
		}
	}, nil
}
