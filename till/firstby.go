package till

import "sync"

// firstByMax bounds the wishes of the page whose operator is remembered: a page asks again within seconds.
const firstByMax = 256

// firstBy remembers in whose name the page's wishes with a key were carried out. The page may ask again for what it was not answered, and
// somebody else may have signed in meanwhile: the same key and body are the same wish, and it stays in the name of whoever made it.
type firstBy struct {
	mu    sync.Mutex // guards what follows
	by    map[string]string
	order []string // of by, the oldest first
}

// operator returns who made a wish; whoever asks now where it is new.
func (f *firstBy) operator(c caller, key, now string) string {
	if !c.page {
		return now // a program names its operator in the body, which must be the same
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if first, made := f.by[key]; made {
		return first
	}
	return now
}

// made keeps who made a wish that was carried out.
func (f *firstBy) made(c caller, key, operator string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.by[key]; known || !c.page {
		return
	}
	if f.by == nil {
		f.by = map[string]string{}
	}
	if len(f.order) >= firstByMax {
		delete(f.by, f.order[0])
		f.order = f.order[1:]
	}
	f.by[key] = operator
	f.order = append(f.order, key)
}
