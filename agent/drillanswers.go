package agent

import (
	"context"
	"fmt"

	"github.com/kannuki/kannuki/drill"
)

// drillRoutes are those of a drill. None of them relaxes anything: what they make and
// contain is the drill's own.
var drillRoutes = []route{
	{"POST", "/v1/drill", false, (*server).postDrill},
	{"POST", "/v1/drill/crew", false, (*server).postDrillCrew},
	{"POST", "/v1/drill/step", false, (*server).postDrillStep},
	{"POST", "/v1/drill/end", false, (*server).postDrillEnd},
}

func (s *server) postDrill(_ context.Context, q question) (any, error) {
	d, err := decode[Drill](q)
	if err == nil {
		err = s.enforcing()
	}
	if err != nil {
		return nil, err
	}
	plan, err := s.drills.begin(d, q.peer)
	if err != nil {
		return nil, err
	}
	s.note(q, "drill-began", fmt.Sprintf("drill %s: %d harmless attack steps; their events name it", plan.ID, len(plan.Orders)))
	return plan, nil
}

func (s *server) postDrillCrew(_ context.Context, q question) (any, error) {
	c, err := decode[DrillCrew](q)
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.drills.crew(c, q.peer)
}

func (s *server) postDrillStep(_ context.Context, q question) (any, error) {
	d, err := decode[DrillStep](q)
	if err != nil {
		return nil, err
	}
	return s.drills.step(d, q.peer)
}

func (s *server) postDrillEnd(_ context.Context, q question) (any, error) {
	e, err := decode[DrillEnd](q)
	if err != nil {
		return nil, err
	}
	r, err := s.drills.end(e, q.peer)
	if err != nil {
		return nil, err
	}
	s.note(q, "drill-ended", fmt.Sprintf("drill %s: %s", e.ID, summary(r)))
	s.kick()
	return r, nil
}

// summary is a report in a line.
func summary(r DrillReport) string {
	refused, done := 0, 0
	for _, c := range r.Controls {
		refused, done = refused+c.Refused, done+c.Done
	}
	line := fmt.Sprintf("%d of %d steps were refused", refused, done)
	if r.Void != "" {
		line += "; it proves nothing: " + r.Reason
	}
	return line
}

// Drill begins a drill.
func (c *Client) Drill(ctx context.Context, d Drill) (DrillPlan, error) {
	return post[DrillPlan](ctx, c, "/v1/drill", d)
}

// DrillCrew has one process of a drill contained, and both watched.
func (c *Client) DrillCrew(ctx context.Context, crew DrillCrew) error {
	_, err := post[struct{}](ctx, c, "/v1/drill/crew", crew)
	return err
}

// DrillStep has a step judged that was done.
func (c *Client) DrillStep(ctx context.Context, s DrillStep) (drill.Outcome, error) {
	return post[drill.Outcome](ctx, c, "/v1/drill/step", s)
}

// EndDrill clears a drill and returns what it has shown.
func (c *Client) EndDrill(ctx context.Context, e DrillEnd) (DrillReport, error) {
	return post[DrillReport](ctx, c, "/v1/drill/end", e)
}
