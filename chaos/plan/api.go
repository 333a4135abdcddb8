package plan

import (
	"io"
	"time"
)

func Parse(r io.Reader, name string) (*Plan, error)     { panic("x") }
func (p *Plan) String() string                         { panic("x") }
func (p *Plan) Validate() error                        { panic("x") }
func Generate(seed uint64, s Shape) *Plan               { panic("x") }

type Shape struct{
	Layer Layer
	Replicas int
	Run, Quiet, Window time.Duration
	Kinds []Kind
	Trackers, Opts []string
	Workload Workload
	Exceed bool
}
