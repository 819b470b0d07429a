{{/*
Every template here takes one dict: `root` is the chart's `$`, `component` the part of the release it is for.
*/}}

{{/* Name of the release's objects. */}}
{{- define "carbon.fullname" -}}
{{- .root.Values.fullnameOverride | default .root.Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* What never changes during the life of an object: fit for selectors and volume claims. */}}
{{- define "carbon.selectorLabels" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* All labels of an object. `image` (optional) is the image whose tag is the version; `.Values.image` by default. */}}
{{- define "carbon.labels" -}}
{{- $image := .image | default .root.Values.image | default dict -}}
{{ include "carbon.selectorLabels" . }}
app.kubernetes.io/version: {{ $image.tag | default .root.Chart.AppVersion | toString | replace "+" "_" | trunc 63 | quote }}
app.kubernetes.io/part-of: carbon
{{- end -}}

{{/* Reference of an image: repository, tag (the chart's appVersion by default) and, when given, the digest. */}}
{{- define "carbon.image" -}}
{{- $image := .image | default .root.Values.image -}}
{{- printf "%s:%s" $image.repository ($image.tag | default .root.Chart.AppVersion | toString) -}}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* DNS name of a Service of this release. Takes `service` and optionally `namespace`. */}}
{{- define "carbon.host" -}}
{{- printf "%s.%s.svc.%s" .service (.namespace | default .root.Release.Namespace) (.root.Values.clusterDomain | default "cluster.local") -}}
{{- end -}}
