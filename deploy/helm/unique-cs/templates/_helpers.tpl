{{- define "unique-cs.name" -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "unique-cs.selector" -}}
app.kubernetes.io/name: unique-cs
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "unique-cs.labels" -}}
{{ include "unique-cs.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "unique-cs.secret" -}}
{{- .Values.secret.existing | default (include "unique-cs.name" .) -}}
{{- end -}}

{{- /* How many nodes there can be. */ -}}
{{- define "unique-cs.most" -}}
{{- ternary .Values.autoscaling.max .Values.replicas .Values.autoscaling.enabled -}}
{{- end -}}

{{- define "unique-cs.check" -}}
{{- $secret := .Values.secret -}}
{{- if not $secret.existing -}}
{{- if and (gt (int (include "unique-cs.most" .)) 1) (not (and $secret.redisUrl $secret.databaseUrl)) -}}
{{- fail "more than one node needs secret.redisUrl and secret.databaseUrl, or secret.existing" -}}
{{- end -}}
{{- if ne (empty $secret.redisUrl) (empty $secret.databaseUrl) -}}
{{- fail "secret.redisUrl and secret.databaseUrl go together" -}}
{{- end -}}
{{- if and .Values.monitoring.serviceMonitor (not $secret.metricsToken) -}}
{{- fail "monitoring.serviceMonitor needs secret.metricsToken, or secret.existing" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.enabled needs ingress.host" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (lt (int .Values.autoscaling.max) (int .Values.autoscaling.min)) -}}
{{- fail "autoscaling.max is below autoscaling.min" -}}
{{- end -}}
{{- end -}}
