package gen

import (
	"slices"

	"go.yaml.in/yaml/v4"
)

// relaxed is the document without what makes no difference to a cache and is often wrong: texts
// that are numbers or objects, such as a version 1.0 or a server's port, and examples, links and
// callbacks whose references lead nowhere. It is nil where there is nothing of the kind.
func (t tree) relaxed() []byte {
	if t.root == nil || !relax(t.root, false) {
		return nil
	}
	data, err := yaml.Marshal(t.root)
	if err != nil {
		return nil
	}
	return data
}

var (
	// textMembers have to be texts.
	textMembers = []string{"openapi", "swagger", "title", "version", "description", "summary", "operationId", "termsOfService"}

	// idleMembers are not looked at.
	idleMembers = []string{"example", "examples", "links", "callbacks", "webhooks", "externalDocs"}

	// keptMembers stay as they are: values of any form, and requirements, whose members have the
	// names of security schemes.
	keptMembers = []string{"default", "enum", "const", "security"}

	// namedMembers have members whose names are the document's own.
	namedMembers = []string{
		"paths", "responses", "content", "headers", "encoding", "variables", "schemas", "parameters", "requestBodies", "securitySchemes", "pathItems",
		"properties", "patternProperties", "definitions", "$defs", "dependentSchemas", "securityDefinitions", "scopes", "mapping",
	}
)

// relax reports whether it has changed a node. The members of a node that is named are of any
// name, and none of them is left out.
func relax(node *yaml.Node, named bool) (changed bool) {
	if node.Kind != yaml.MappingNode {
		for _, child := range node.Content {
			changed = relax(child, false) || changed
		}
		return changed
	}
	var kept []*yaml.Node
	eachMember(node, func(key, value *yaml.Node) {
		idle := !named && slices.Contains(idleMembers, key.Value)
		isText := !named && slices.Contains(textMembers, key.Value)
		isScalar := value.Kind == yaml.ScalarNode || value.Kind == yaml.AliasNode
		switch {
		case (idle || isText) && isAnchored(value): // other places may have it
		case idle, isText && !isScalar && key.Value != "openapi":
			changed = true
			return
		case isText && value.Kind == yaml.ScalarNode && value.Tag != "!!str":
			asText(value)
			changed = true
		case !named && slices.Contains(keptMembers, key.Value):
		default:
			if !named && key.Value == "variables" {
				changed = relaxVariables(value) || changed
			}
			changed = relax(value, !named && slices.Contains(namedMembers, key.Value)) || changed
		}
		kept = append(kept, key, value)
	})
	node.Content = kept
	return changed
}

// relaxVariables makes texts of the values of a server's variables, such as a port.
func relaxVariables(node *yaml.Node) (changed bool) {
	eachMember(node, func(_, variable *yaml.Node) {
		eachMember(variable, func(key, value *yaml.Node) {
			if key.Value != "default" && key.Value != "enum" {
				return
			}
			for _, scalar := range slices.Concat(value.Content, []*yaml.Node{value}) {
				if scalar.Kind == yaml.ScalarNode && scalar.Tag != "!!str" && scalar.Tag != "!!null" {
					asText(scalar)
					changed = true
				}
			}
		})
	})
	return changed
}

func asText(scalar *yaml.Node) { scalar.Tag, scalar.Style = "!!str", yaml.DoubleQuotedStyle }

// isAnchored tells whether an alias may stand for the node or a part of it.
func isAnchored(node *yaml.Node) bool {
	return node.Anchor != "" || slices.ContainsFunc(node.Content, isAnchored)
}
