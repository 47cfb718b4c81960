package parser

// Kernels are those that this machine can run, by name; portable is one.
func Kernels() map[string]Kernel {
	byName := map[string]Kernel{}
	for _, k := range kernels() {
		byName[k.name] = Kernel(k.kernel)
	}
	return byName
}

// Kernel is a kernel.
type Kernel kernel

// UseKernel makes r read with a kernel of Kernels.
func (r *Reader) UseKernel(k Kernel) { r.scan.index.kernel = kernel(k) }

// Index is what an index holds of text[from:], which it is given in two pieces.
type Index struct {
	Ends, Inner []uint32
	Lines       uint64
	Inside      bool
	Clean       int // how far it came
}

// IndexOf indexes text[from:between], then text[between:].
func IndexOf(k Kernel, text []byte, delimiter byte, from, between int) Index {
	x := index{kernel: kernel(k), delimiter: delimiter}
	x.reset()
	clean := x.add(text, from, between)
	if clean == between {
		clean = x.add(text, between, len(text))
	}
	return Index{Ends: x.ends, Inner: x.inner, Lines: x.quotes.lines, Inside: x.quotes.inside != 0, Clean: clean}
}

// Indexer indexes whole texts, in memory that it keeps.
func Indexer(k Kernel, delimiter byte) func(text []byte) {
	x := index{kernel: kernel(k), delimiter: delimiter}
	return func(text []byte) {
		x.reset()
		x.add(text, 0, len(text))
	}
}

// ShortAmount and LongAmount read b as a plain amount of two decimals.
func ShortAmount(b []byte, decimal byte) (minor int64, ok bool) { return cents(b, decimal) }

func LongAmount(b []byte, decimal byte) (minor int64, ok bool) {
	minor, fault := amountForm{decimal: decimal, exponent: 2}.parse(b, false)
	return minor, fault == ""
}

// ShortDate and LongDate read b as an ISO date.
func ShortDate(b []byte) (day int32, ok bool) { return new(months).day(b) }

func LongDate(b []byte) (day int32, ok bool) {
	form, _ := compileDateForm("")
	return form.parse(b)
}
