{{/* Names of the custom resource definitions. */}}
{{- define "kuberay.definitions" -}}
rayclusters.ray.io rayjobs.ray.io rayservices.ray.io
{{- end -}}

{{/* Binds this release's account to the Role (or ClusterRole) of the same name. Takes `kind`, `name`, `namespace`?. */}}
{{- define "kuberay.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "carbon.labels" . | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: {{ .kind }}, name: {{ .name }}}
subjects:
  - {kind: ServiceAccount, name: {{ include "carbon.fullname" . }}, namespace: {{ .root.Release.Namespace }}}
{{- end -}}
