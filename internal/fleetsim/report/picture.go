package report

import (
	"bytes"
	"fmt"
	"image/color"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/endpointcache/endpointcache/internal/fleetsim/model"
	"github.com/endpointcache/endpointcache/internal/human"
)

// The size of a picture in points, and how high its head is.
const (
	width  = vg.Length(660)
	height = vg.Length(230)
	head   = vg.Length(50)
)

// The colours are those of the other pictures: dark on a page that is white by itself, so
// that it is as good on a dark page.
var (
	ink   = color.RGBA{0x1f, 0x23, 0x28, 0xff}
	faint = color.RGBA{0xd8, 0xde, 0xe4, 0xff}
)

// strokes are the lines of the combinations that are drawn, which differ in more than colour.
var strokes = map[string]draw.LineStyle{
	"nothing":                     {Color: color.RGBA{0xcf, 0x22, 0x2e, 0xff}, Width: 1.6},
	"refresh ahead":               {Color: color.RGBA{0x9a, 0x67, 0x00, 0xff}, Width: 1.4, Dashes: []vg.Length{5, 2}},
	"tier":                        {Color: color.RGBA{0x82, 0x50, 0xdf, 0xff}, Width: 1.4, Dashes: []vg.Length{1.5, 2}},
	"leases":                      {Color: color.RGBA{0x09, 0x69, 0xda, 0xff}, Width: 1.6},
	"leases, refresh ahead, tier": {Color: color.RGBA{0x1a, 0x7f, 0x37, 0xff}, Width: 1.6, Dashes: []vg.Length{7, 2, 1.5, 2}},
}

// Picture draws the requests to the origin over time as an SVG: a plot for each size of the
// fleet, with a line for each combination.
func Picture(s *Scenario, rows []Row) ([]byte, error) {
	canvas := vgsvg.New(width, height)
	whole := draw.New(canvas)
	whole.SetColor(color.White)
	whole.Fill(whole.Rectangle.Path())

	var plots []*plot.Plot
	var legend []Row
	for _, r := range rows {
		if len(plots) == 0 || plots[len(plots)-1].Title.Text != title(r.Processes) {
			plots = append(plots, newPlot(s, r.Processes))
			legend = nil
		}
		stroke, drawn := strokes[r.Combination.Name]
		if !drawn {
			continue
		}
		l, err := plotter.NewLine(points(r.Result))
		if err != nil {
			return nil, err
		}
		l.LineStyle, l.StepStyle = stroke, plotter.PreStep
		plots[len(plots)-1].Add(l)
		legend = append(legend, r)
	}
	drawHead(whole, s, legend)
	below := draw.Crop(whole, 0, 0, 0, -head)
	tiles := draw.Tiles{Rows: 1, Cols: len(plots), PadX: 12, PadLeft: 8, PadRight: 8, PadBottom: 6}
	for i, p := range plots {
		p.Draw(tiles.At(below, i, 0))
	}
	return finish(canvas, s)
}

func caption(s *Scenario) string { return s.Title + ". Requests to the origin per second" }

func title(processes int) string { return human.Count(processes) + " processes" }

func newPlot(s *Scenario, processes int) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	p.Title.Text = title(processes)
	p.Title.TextStyle.Color = ink
	p.X.Label.Text = "seconds"
	p.X.Min, p.X.Max = s.Measure.Seconds(), s.Duration.Seconds()
	p.Y.Min, p.Y.Max = lowest, 20_000
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, decades{}
	p.Title.TextStyle.Font = sans(11)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font, axis.Tick.Label.Font = sans(9), sans(9)
		axis.Color, axis.Tick.Color, axis.Label.TextStyle.Color, axis.Tick.Label.Color = ink, ink, ink, ink
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = nil, faint
	p.Add(grid)
	return p
}

func sans(size vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

// lowest stands for no request, which a logarithmic scale has no place for.
const lowest = 0.3

// decades marks the powers of ten, and the place of none.
type decades struct{}

func (decades) Ticks(_, most float64) []plot.Tick {
	ticks := []plot.Tick{{Value: lowest, Label: "0"}}
	for n := 1; float64(n) <= most; n *= 10 {
		ticks = append(ticks, plot.Tick{Value: float64(n), Label: human.Count(n)})
	}
	return ticks
}

// points are the counts of a result as requests per second, each at its bucket's end.
func points(r *model.Result) plotter.XYs {
	from := len(r.RequestsOver) - int(r.Span/r.Bucket)
	var xys plotter.XYs
	add := func(at time.Duration, n int) {
		xys = append(xys, plotter.XY{X: at.Seconds(), Y: max(float64(n)/r.Bucket.Seconds(), lowest)})
	}
	add(time.Duration(from)*r.Bucket, r.RequestsOver[from])
	for i, n := range r.RequestsOver[from:] {
		add(time.Duration(from+i+1)*r.Bucket, n)
	}
	return xys
}

// drawHead draws the title, and below it what the lines mean.
func drawHead(c draw.Canvas, s *Scenario, legend []Row) {
	style := draw.TextStyle{Color: ink, Font: sans(12), Handler: plot.DefaultTextHandler}
	c.FillText(style, vg.Point{X: 12, Y: height - 18}, caption(s))
	style.Font = sans(9)
	at := vg.Point{X: 12, Y: height - 36}
	for _, r := range legend {
		c.StrokeLine2(strokes[r.Combination.Name], at.X, at.Y+3, at.X+24, at.Y+3)
		c.FillText(style, vg.Point{X: at.X + 28, Y: at.Y}, r.Combination.Name)
		at.X += 28 + style.Width(r.Combination.Name) + 16
	}
}

// finish adds what readers of a picture need that plots do not have: fonts that every browser
// finds, of the same widths, and words for those who do not see it.
func finish(canvas *vgsvg.Canvas, s *Scenario) ([]byte, error) {
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, err
	}
	svg := strings.ReplaceAll(b.String(), "Liberation Sans", "Liberation Sans,Arial,Helvetica")
	begin, end := strings.Index(svg, "<svg "), 0
	if begin >= 0 {
		end = strings.Index(svg[begin:], ">")
	}
	if begin < 0 || end < 0 {
		return nil, fmt.Errorf("the picture %s is no SVG", s.Name)
	}
	opening := svg[begin : begin+end]
	return []byte(opening + ` role="img" aria-labelledby="title">` + "\n" +
		`<title id="title">` + caption(s) + "</title>" +
		svg[begin+end+1:]), nil
}
