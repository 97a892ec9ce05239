package gen

import (
	"html"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// oneLine is a text without line breaks and other characters that do not show.
func oneLine(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
}

var (
	htmlBlock = regexp.MustCompile(`(?i)</?(?:p|br|li|ul|ol|div|tr|td|th|table|h[1-6]|pre|hr)\b[^<>]*>`)
	htmlTag   = regexp.MustCompile(`</?[A-Za-z][^<>]*>`)
	mdLink    = regexp.MustCompile(`\[([^\]\[]+)\]\(([^()\s]*)\)`)
	mdEmphase = regexp.MustCompile("\\*\\*([^*]+)\\*\\*|`([^`]+)`")
)

// plainText is a description in the document's Markdown as the text of a comment.
func plainText(text string) string {
	text = htmlBlock.ReplaceAllString(text, " ")
	text = html.UnescapeString(htmlTag.ReplaceAllString(text, ""))
	text = mdLink.ReplaceAllString(text, "$1")
	text = mdEmphase.ReplaceAllString(text, "$1$2")
	return oneLine(text)
}

// paragraph is the first paragraph of a description, as one line.
func paragraph(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	for part := range strings.SplitSeq(text, "\n\n") {
		if plain := plainText(part); plain != "" && !strings.HasPrefix(plain, "#") {
			return cut(plain, 600)
		}
	}
	return ""
}

// cut is the beginning of a text, up to the end of a sentence or a word.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	text = strings.ToValidUTF8(text[:limit], "")
	if end := strings.LastIndex(text, ". "); end > limit/3 {
		return text[:end+1]
	}
	if end := strings.LastIndexByte(text, ' '); end > 0 {
		text = text[:end]
	}
	return text + " …"
}

// sentence ends a text with a full stop, unless it is empty.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" || strings.ContainsAny(text[len(text)-1:], ".!?:") {
		return text
	}
	return text + "."
}

// wrap breaks a text into lines of at most width bytes, but for longer words.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// firstLower is a text whose first word begins with a small letter, unless it is a name.
func firstLower(text string) string {
	for i, r := range text {
		if i == 0 && !unicode.IsUpper(r) {
			return text
		}
		if i > 0 {
			if unicode.IsUpper(r) || r == ' ' && i == 1 && text[0] != 'A' {
				return text
			}
			return strings.ToLower(text[:i]) + text[i:]
		}
	}
	return text
}

func joinWords(list []string) string { return joinBy(list, "and") }
func joinOr(list []string) string {
	shown := make([]string, len(list))
	for i, text := range list {
		shown[i] = oneLine(text)
		if shown[i] == "" {
			shown[i] = `""`
		}
	}
	return joinBy(shown, "or")
}

func joinBy(list []string, word string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " " + word + " " + list[len(list)-1]
}

// goStrings is the literal of a list of strings.
func goStrings(list []string) string {
	return "[]string{" + goList(list) + "}"
}

func goList(list []string) string {
	quotedList := make([]string, len(list))
	for i, text := range list {
		quotedList[i] = strconv.Quote(text)
	}
	return strings.Join(quotedList, ", ")
}

func escapeQuery(name string) string { return url.QueryEscape(name) }
