{{/* Every voter: node number, name of its pod, controller port. */}}
{{- define "kafka.voters" -}}
{{- $name := include "carbon.fullname" (dict "root" $) -}}
{{- $domain := include "carbon.host" (dict "root" $ "service" .Values.service.brokers) -}}
{{- $voters := list -}}
{{- range $node := until (int .Values.replicas) -}}
{{- $voters = append $voters (printf "%d@%s-%d.%s:9093" $node $name $node $domain) -}}
{{- end -}}
{{- join "," $voters -}}
{{- end -}}

{{/* Broker settings that follow from the number of nodes, with those of the values over them. */}}
{{- define "kafka.config" -}}
{{- $replication := min 3 (int .Values.replicas) | toString -}}
{{- $insync := max 1 (sub (min 3 (int .Values.replicas)) 1) | toString -}}
{{- $config := dict
  "auto.create.topics.enable" "false"
  "default.replication.factor" $replication
  "min.insync.replicas" $insync
  "offsets.topic.replication.factor" $replication
  "transaction.state.log.replication.factor" $replication
  "transaction.state.log.min.isr" $insync
  "share.coordinator.state.topic.replication.factor" $replication
  "share.coordinator.state.topic.min.isr" $insync
  "initial.broker.registration.timeout.ms" "600000"
-}}
{{- range $key, $value := merge (deepCopy .Values.config) $config }}
{{ $key }}={{ $value }}
{{- end }}
{{- end -}}
